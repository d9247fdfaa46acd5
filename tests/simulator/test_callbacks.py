"""How callbacks are delivered: the retry rules, and the faults that meet them."""

import socket
import time

import pytest

FROM, TO = "+15005550006", "+15017122661"


@pytest.fixture
def report(start, client_of, webhook):
    """Let one message come to `sent` and return the books when its callback is over."""

    def report_one(fragment="", url=None, fate="sent", **knobs):
        simulator = start(fates={fate: 1}, **knobs)
        url = (url or webhook.url) + fragment
        client_of(simulator).messages.create(to=TO, from_=FROM, body="x", status_callback=url)
        simulator.wait_until_idle()
        books = simulator.books()
        return books["messages"][0], books["totals"]["callbacks"]

    return report_one


def answers(*statuses):
    """Give these answers in turn, the last for ever."""
    left = list(statuses)
    return lambda callback: left.pop(0) if len(left) > 1 else left[0]


def test_a_good_answer_is_acknowledged_and_not_repeated(report, webhook):
    message, totals = report("#rc=5&rp=all")
    assert [t["answer"] for t in message["callbacks"]] == [204]
    assert (totals["due"], totals["acknowledged"], totals["tries"]) == (1, 1, 1)


@pytest.mark.parametrize("status", [500, 503, 404, 302])
def test_by_default_a_bad_answer_loses_the_event(report, webhook, status):
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
def test_the_fragment_says_what_is_tried_again_and_how_often(
    report, webhook, fragment, status, tries
):
    webhook.answer = answers(status)
    message, totals = report(fragment)
    assert [t["try"] for t in message["callbacks"]] == [*range(1, tries + 1)]
    assert totals["refused"] == 1


def test_a_retry_carries_the_same_token_and_signature(report, webhook):
    webhook.answer = answers(500, 500, 204)
    message, totals = report("#rc=5&rp=5xx")
    assert totals["acknowledged"] == 1
    for header in ("I-Twilio-Idempotency-Token", "X-Twilio-Signature"):
        assert len({callback.headers[header] for callback in webhook.received}) == 1
    assert [t["answer"] for t in message["callbacks"]] == [500, 500, 204]


def test_a_slow_answer_is_lost_unless_read_timeouts_are_tried_again(report, webhook):
    webhook.answer = lambda callback: time.sleep(0.4) or 204
    message, totals = report("#rt=100")
    assert (totals["tries"], totals["lost"]) == (1, 1)
    assert message["callbacks"][0]["error"].startswith("rt")
    _, totals = report("#rt=100&rp=rt&rc=2")
    assert (totals["tries"], totals["lost"]) == (3, 1)


def test_all_tries_together_stay_within_the_total(report, webhook):
    webhook.answer = lambda callback: time.sleep(0.4) or 204
    started = time.monotonic()
    _, totals = report("#rt=300&tt=500&rc=5&rp=all")
    assert time.monotonic() - started < 2
    assert totals["tries"] == 2


def test_a_refused_connection_is_tried_again_once_by_default(report):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        message, totals = report(url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert (totals["tries"], totals["lost"]) == (2, 1)
    assert message["callbacks"][0]["error"].startswith("ct")


def test_a_connection_closed_without_answer_is_tried_again_only_under_all(report, webhook):
    webhook.answer = answers(None)
    assert report("#rc=1&rp=ct,rt,4xx,5xx")[1]["tries"] == 1
    assert report("#rc=1&rp=all")[1]["tries"] == 2


@pytest.mark.parametrize(("knobs", "connection"), [({}, "close"), ({"keep_alive": True}, None)])
def test_connections_are_closed_as_twilio_does_unless_load_forbids(
    report, webhook, knobs, connection
):
    report(**knobs)
    assert webhook.received[0].headers.get("Connection") == connection


def test_redirects_are_not_followed(report, webhook):
    webhook.answer = answers(302, 204)
    report()
    assert len(webhook.received) == 1


def test_a_dropped_callback_is_never_sent_but_noted(report, webhook):
    message, totals = report(faults={"drop": 1})
    assert webhook.received == []
    assert message["dropped"] == ["sent"]
    assert (totals["due"], totals["dropped"], totals["pending"]) == (1, 1, 0)


def test_a_duplicate_is_the_same_request_again(report, webhook):
    _, totals = report(faults={"duplicate": 1})
    assert 2 <= len(webhook.received) <= 4
    assert totals["duplicates"] == len(webhook.received) - 1
    assert (totals["due"], totals["acknowledged"]) == (1, 1)
    assert len({str(sorted(callback.pairs)) for callback in webhook.received}) == 1
    assert len({c.headers["X-Twilio-Signature"] for c in webhook.received}) == 1


def test_a_callback_held_back_is_overtaken(report, webhook):
    report(fate="delivered", faults={"reorder": 1}, hold=5)
    assert webhook.statuses == ["delivered", "sent"]


def test_a_callback_held_back_with_none_to_follow_comes_late(report, webhook):
    report(faults={"reorder": 1}, hold=0.1)
    assert webhook.statuses == ["sent"]


def test_a_delayed_callback_comes_late(report, webhook):
    started = time.monotonic()
    report(faults={"delay": 1}, delay=0.3)
    assert time.monotonic() - started >= 0.3
    assert webhook.statuses == ["sent"]


def test_no_more_requests_are_under_way_than_allowed(start, client_of, webhook):
    simulator = start(concurrency=2, fates={"sent": 1})
    under_way, most = [], []

    def answer(callback):
        under_way.append(callback)
        most.append(len(under_way))
        time.sleep(0.02)
        under_way.remove(callback)
        return 204

    webhook.answer = answer
    client = client_of(simulator)
    for _ in range(10):
        client.messages.create(to=TO, from_=FROM, body="x", status_callback=webhook.url)
    simulator.wait_until_idle()
    assert len(webhook.received) == 10
    assert max(most) <= 2
