"""Delivery of callbacks: retry rules and injected faults."""

import socket
import time

import pytest

FROM, TO = "+15005550006", "+15017122661"


@pytest.fixture
def report(start, client_of, webhook):
    """Send one message until `sent`; return its record and the totals of callbacks."""

    def report_one(fragment="", url=None, outcome="sent", **options):
        simulator = start(outcomes={outcome: 1}, **options)
        url = (url or webhook.url) + fragment
        client_of(simulator).messages.create(to=TO, from_=FROM, body="x", status_callback=url)
        simulator.wait_until_idle()
        records = simulator.records()
        return records["messages"][0], records["totals"]["callbacks"]

    return report_one


def answers(*statuses):
    """Give these answers in order, and repeat the last."""
    remaining = list(statuses)
    return lambda callback: remaining.pop(0) if len(remaining) > 1 else remaining[0]


def test_successful_callback_is_not_retried(report, webhook):
    message, totals = report("#rc=5&rp=all")
    assert [t["answer"] for t in message["callbacks"]] == [204]
    assert (totals["due"], totals["acknowledged"], totals["tries"]) == (1, 1, 1)


@pytest.mark.parametrize("status", [500, 503, 404, 302])
def test_error_answer_is_not_retried_by_default(report, webhook, status):
    webhook.answer = answers(status, 204)
    _, totals = report()
    assert (totals["tries"], totals["refused"], totals["pending"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("fragment", "status", "tries"),
    [
        ("#rc=3&rp=5xx", 503, 4),
        ("#rc=3&rp=4xx", 503, 1),
        ("#rc=3&rp=ct,rt", 503, 1),
        ("#rc=2&rp=4xx,5xx", 404, 3),
        ("#rc=5&rp=all", 500, 6),
        ("#rc=0&rp=all", 500, 1),
        ("#rc=5&rp=all", 302, 1),
    ],
)
def test_fragment_sets_which_failures_are_retried(report, webhook, fragment, status, tries):
    webhook.answer = answers(status)
    message, totals = report(fragment)
    assert [t["try"] for t in message["callbacks"]] == [*range(1, tries + 1)]
    assert totals["refused"] == 1


def test_retry_has_the_same_token_and_signature(report, webhook):
    webhook.answer = answers(500, 500, 204)
    message, totals = report("#rc=5&rp=5xx")
    assert totals["acknowledged"] == 1
    for header in ("I-Twilio-Idempotency-Token", "X-Twilio-Signature"):
        assert len({callback.headers[header] for callback in webhook.received}) == 1
    assert [t["answer"] for t in message["callbacks"]] == [500, 500, 204]


def test_lost_first_try_is_retried_as_a_failed_connection(report, webhook):
    message, totals = report(faults={"lost-try": 1})
    assert [t["answer"] for t in message["callbacks"]] == [None, 204]
    assert (len(webhook.received), totals["acknowledged"]) == (1, 1)


def test_read_timeout_is_retried_only_if_configured(report, webhook):
    webhook.answer = lambda callback: time.sleep(0.4) or 204
    message, totals = report("#rt=100")
    assert (totals["tries"], totals["lost"]) == (1, 1)
    assert message["callbacks"][0]["error"].startswith("rt")
    _, totals = report("#rt=100&rp=rt&rc=2")
    assert (totals["tries"], totals["lost"]) == (3, 1)


def test_all_tries_stay_within_the_total_timeout(report, webhook):
    webhook.answer = lambda callback: time.sleep(0.4) or 204
    started = time.monotonic()
    _, totals = report("#rt=300&tt=500&rc=5&rp=all")
    assert time.monotonic() - started < 2
    assert totals["tries"] == 2


def test_refused_connection_is_retried_once_by_default(report):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        message, totals = report(url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert (totals["tries"], totals["lost"]) == (2, 1)
    assert message["callbacks"][0]["error"].startswith("ct")


def test_closed_connection_is_retried_only_with_rp_all(report, webhook):
    webhook.answer = answers(None)
    assert report("#rc=1&rp=ct,rt,4xx,5xx")[1]["tries"] == 1
    assert report("#rc=1&rp=all")[1]["tries"] == 2


@pytest.mark.parametrize(("options", "connection"), [({}, "close"), ({"keep_alive": True}, None)])
def test_connections_are_closed_unless_keep_alive_is_set(report, webhook, options, connection):
    report(**options)
    assert webhook.received[0].headers.get("Connection") == connection


def test_redirects_are_not_followed(report, webhook):
    webhook.answer = answers(302, 204)
    report()
    assert len(webhook.received) == 1


def test_dropped_callback_is_recorded_and_not_sent(report, webhook):
    message, totals = report(faults={"drop": 1})
    assert webhook.received == []
    assert message["dropped"] == ["sent"]
    assert (totals["due"], totals["dropped"], totals["pending"]) == (1, 1, 0)


def test_duplicate_repeats_the_same_request(report, webhook):
    _, totals = report(faults={"duplicate": 1})
    assert 2 <= len(webhook.received) <= 4
    assert totals["duplicates"] == len(webhook.received) - 1
    assert (totals["due"], totals["acknowledged"]) == (1, 1)
    assert len({str(sorted(callback.pairs)) for callback in webhook.received}) == 1
    assert len({c.headers["X-Twilio-Signature"] for c in webhook.received}) == 1


def test_reordered_callback_arrives_after_the_next(report, webhook):
    report(outcome="delivered", faults={"reorder": 1}, hold=5)
    assert webhook.statuses == ["delivered", "sent"]


def test_reordered_last_callback_arrives_late(report, webhook):
    report(faults={"reorder": 1}, hold=0.1)
    assert webhook.statuses == ["sent"]


def test_delayed_callback_arrives_late(report, webhook):
    started = time.monotonic()
    report(faults={"delay": 1}, delay=0.3)
    assert time.monotonic() - started >= 0.3
    assert webhook.statuses == ["sent"]


def test_concurrency_limits_open_requests(start, client_of, webhook):
    simulator = start(concurrency=2, outcomes={"sent": 1})
    open_requests, counts = [], []

    def answer(callback):
        open_requests.append(callback)
        counts.append(len(open_requests))
        time.sleep(0.02)
        open_requests.remove(callback)
        return 204

    webhook.answer = answer
    client = client_of(simulator)
    for _ in range(10):
        client.messages.create(to=TO, from_=FROM, body="x", status_callback=webhook.url)
    simulator.wait_until_idle()
    assert len(webhook.received) == 10
    assert max(counts) <= 2
