"""What the answers of an endpoint do to its deliveries and to the endpoint."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.database import db, transaction
from service.queries import webhook_deliveries
from service.webhook_client.client import Answer
from service.webhooks import deliver, results, schedule
from service.webhooks.claim import LEASE, Call, claim
from service.webhooks.results import Result, record_or_drop, record_results
from tests.service.webhooks.owed import (
    add_endpoints,
    change,
    delivery_row,
    endpoint_row,
    let_pass,
    owe_tests,
)
from tests.service.webhooks.receiver import Receiver

pytestmark = pytest.mark.usefixtures("allowed")
# Standard Webhooks 1.0.0, between the ten attempts.
SCHEDULE = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
DAY = 86_400.0


@pytest.fixture
def endpoint_id(client_id: int, endpoint: Receiver) -> UUID:
    [id_] = add_endpoints(client_id, [endpoint.url])
    return id_


@pytest.fixture
def owe(client_id: int, endpoint_id: UUID) -> Callable[[], UUID]:
    """Owe a test event to the endpoint; return the id of the delivery."""
    return lambda: owe_tests(client_id, endpoint_id)[0]


def answering(status: int, **headers: str) -> Callable[[Any], tuple[int, dict[str, str]]]:
    return lambda _: (status, {name.replace("_", "-"): value for name, value in headers.items()})


def in_seconds(time: datetime | None) -> float:
    assert time is not None
    return (time - datetime.now(UTC)).total_seconds()


def claimed() -> list[Call]:
    return claim(32, datetime.now(UTC))


def answered(call: Call, status: int, retry_after: float | None = None) -> Result:
    return Result(call, Answer(status, None, retry_after), 0.1)


def test_failed_delivery_keeps_the_standard_schedule(
    endpoint_id: UUID, owe: Callable[[], UUID], endpoint: Receiver
) -> None:
    endpoint.answer = answering(500)
    delivery_id = owe()
    for attempts, standard in enumerate(SCHEDULE, start=1):
        deliver.deliver()
        delivery = delivery_row(delivery_id)
        assert delivery.attempts == len(endpoint.received) == attempts
        assert 0.8 * standard - 1 <= in_seconds(delivery.due_at) <= 1.2 * standard
        let_pass(1.2 * standard)
    deliver.deliver()
    let_pass(10 * DAY)
    deliver.deliver()
    delivery = delivery_row(delivery_id)
    assert (delivery.attempts, delivery.due_at, delivery.delivered_at) == (10, None, None)
    assert len(endpoint.received) == 10
    assert len({request.headers["webhook-id"] for request in endpoint.received}) == 1


@pytest.mark.parametrize(("asked", "seconds"), [(120, 120), (999_999, 3_600), (0, 5)])
def test_retry_after_is_heeded_up_to_an_hour(
    owe: Callable[[], UUID], endpoint_id: UUID, asked: float, seconds: float
) -> None:
    delivery_id = owe()
    [call] = claimed()
    record_results([answered(call, 429, asked)])
    assert 0.8 * seconds - 1 <= in_seconds(delivery_row(delivery_id).due_at) <= 1.2 * seconds
    if asked:
        assert seconds - 2 <= in_seconds(endpoint_row(endpoint_id).retry_at) <= seconds + 1


def test_gone_disables_endpoint(
    endpoint_id: UUID,
    owe: Callable[[], UUID],
    endpoint: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint.answer = answering(410)
    delivery_id, before = owe(), disabled_metric("gone")
    with caplog.at_level(logging.ERROR):
        deliver.deliver()
    endpoint_now = endpoint_row(endpoint_id)
    assert endpoint_now.disabled_at is not None
    assert endpoint_now.disabled_reason == "gone"
    assert delivery_row(delivery_id).due_at is not None  # kept, to be recovered
    assert disabled_metric("gone") == before + 1
    assert str(endpoint_id) in caplog.text
    let_pass(DAY)
    deliver.deliver()
    assert len(endpoint.received) == 1


def test_endpoint_that_fails_for_five_days_is_disabled(
    endpoint_id: UUID, client_id: int, endpoint: Receiver
) -> None:
    endpoint.answer = answering(503)
    owe_tests(client_id, endpoint_id, 20)
    deliver.deliver()
    for _ in range(20):
        let_pass(DAY * 0.24)
        deliver.deliver()
        assert endpoint_row(endpoint_id).disabled_at is None
    let_pass(DAY * 0.24)
    deliver.deliver()
    assert endpoint_row(endpoint_id).disabled_reason == "failing"


def test_success_clears_the_failures(
    endpoint_id: UUID, owe: Callable[[], UUID], endpoint: Receiver
) -> None:
    change(endpoint_id, failing_since=datetime.now(UTC) - timedelta(days=6), failures=40)
    owe()
    deliver.deliver()
    now = endpoint_row(endpoint_id)
    assert (now.failures, now.failing_since, now.retry_at) == (0, None, None)
    assert now.disabled_at is None


def test_poison_event_neither_pauses_nor_disables_endpoint(
    endpoint_id: UUID, owe: Callable[[], UUID], endpoint: Receiver
) -> None:
    endpoint.answer = answering(400)
    poison = owe()
    while delivery_row(poison).due_at is not None:
        deliver.deliver()
        assert endpoint_row(endpoint_id).retry_at is None
        let_pass(1.2 * DAY)
    assert delivery_row(poison).attempts == 10
    owe()
    endpoint.answer = answering(503)
    deliver.deliver()
    assert endpoint_row(endpoint_id).disabled_at is None


def test_poison_event_beside_others_leaves_the_endpoint_alone(
    endpoint_id: UUID, owe: Callable[[], UUID], endpoint: Receiver
) -> None:
    poison = f"evt_{delivery_row(owe()).event_id}"
    endpoint.answer = lambda request: (400 if request.headers["webhook-id"] == poison else 204, {})
    for _ in range(12):
        deliver.deliver()
        let_pass(1.2 * DAY)
        owe()
    deliver.deliver()
    now = endpoint_row(endpoint_id)
    assert (now.disabled_at, now.failing_since) == (None, None)
    assert len(endpoint.received) == 10 + 12


def test_endpoint_without_a_readable_secret_delays_no_other(
    client_id: int, endpoint: Receiver
) -> None:
    unreadable = [{"secret": "gAAAAA-not-a-token", "until": None}]
    [broken] = add_endpoints(client_id, [endpoint.url])
    [working] = add_endpoints(client_id, [endpoint.url])
    change(broken, secrets=unreadable)
    [lost], [delivered] = owe_tests(client_id, broken), owe_tests(client_id, working)
    deliver.deliver()
    assert delivery_row(delivered).delivered_at is not None
    assert "WEBHOOK_KEYS" in (delivery_row(lost).error or "")
    assert endpoint_row(broken).retry_at is not None


@pytest.mark.parametrize("table", ["webhook_delivery", "event", "webhook_endpoint"])
def test_rows_deleted_between_claim_and_result_do_no_harm(
    owe: Callable[[], UUID], table: str
) -> None:
    owe()
    [call] = claimed()
    with transaction():
        db.session.execute(text(f"DELETE FROM {table}"))
    record_results([answered(call, 204)])
    record_results([answered(call, 500)])


def test_delivery_of_a_deleted_event_ends(owe: Callable[[], UUID]) -> None:
    delivery_id = owe()
    with transaction():
        db.session.execute(text("DELETE FROM event"))
    assert claimed() == []
    assert delivery_row(delivery_id).due_at is None


@pytest.mark.parametrize("name", ["disabled_at", "deleted_at"])
def test_endpoint_disabled_or_deleted_is_not_called(
    endpoint_id: UUID, owe: Callable[[], UUID], name: str
) -> None:
    owe()
    change(endpoint_id, **{name: datetime.now(UTC)})
    assert claimed() == []


def test_late_answer_of_an_old_url_does_not_count(
    endpoint_id: UUID, owe: Callable[[], UUID]
) -> None:
    owe()
    [call] = claimed()
    change(endpoint_id, url="https://new.example.com/hook")
    record_results([answered(call, 410)])
    assert endpoint_row(endpoint_id).disabled_at is None


def test_delivery_of_a_worker_that_died_is_due_after_its_lease(owe: Callable[[], UUID]) -> None:
    delivery_id = owe()
    [call] = claimed()
    assert claimed() == []
    let_pass(LEASE.total_seconds())
    [again] = claimed()
    assert (again.delivery_id, again.event_id) == (delivery_id, call.event_id)


def test_late_failure_does_not_replace_a_success(owe: Callable[[], UUID]) -> None:
    delivery_id = owe()
    [suspended] = claimed()
    let_pass(LEASE.total_seconds())
    [current] = claimed()
    record_results([answered(current, 204)])
    record_results([answered(suspended, 500)])
    delivery = delivery_row(delivery_id)
    assert (delivery.due_at, delivery.answer_status) == (None, 204)
    assert delivery.delivered_at is not None


def test_late_success_counts(owe: Callable[[], UUID]) -> None:
    delivery_id = owe()
    [suspended] = claimed()
    let_pass(LEASE.total_seconds())
    [current] = claimed()
    record_results([answered(suspended, 204)])
    record_results([answered(current, 500)])
    assert delivery_row(delivery_id).due_at is None


def test_results_wait_for_the_database(
    owe: Callable[[], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery_id, refusals = owe(), iter([True, True])
    write = webhook_deliveries.write_results

    def failing(rows: Any) -> None:
        if next(refusals, False):
            raise OperationalError(None, None, ConnectionError("away"))
        write(rows)

    monkeypatch.setattr(webhook_deliveries, "write_results", failing)
    monkeypatch.setattr(results, "_RETRY_SECONDS", 0.01)
    deliver.deliver()
    assert delivery_row(delivery_id).delivered_at is not None


def test_results_are_dropped_when_the_database_stays_away(
    owe: Callable[[], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery_id = owe()
    [call] = claimed()

    def failing(_: Any) -> None:
        raise OperationalError(None, None, ConnectionError("away"))

    monkeypatch.setattr(webhook_deliveries, "write_results", failing)
    monkeypatch.setattr(results, "_KEEP_SECONDS", 0.05)
    monkeypatch.setattr(results, "_RETRY_SECONDS", 0.01)
    record_or_drop([answered(call, 204)])
    assert delivery_row(delivery_id).due_at is not None  # after the lease it is called again


def test_one_result_that_cannot_be_recorded_costs_no_other(
    client_id: int, endpoint_id: UUID
) -> None:
    [bad, good] = owe_tests(client_id, endpoint_id, 2)
    calls = {call.delivery_id: call for call in claimed()}
    unknown = Result(calls[bad], Answer("no number"), 0.1)  # type: ignore[arg-type]
    unknown = unknown._replace(answer=Answer(2**70))
    record_or_drop([unknown, answered(calls[good], 204)])
    assert delivery_row(good).delivered_at is not None


def test_delays_are_spread_by_a_fifth() -> None:
    delays = [schedule.next_delay(3) for _ in range(1_000)]
    seconds = sorted(delay.total_seconds() for delay in delays if delay)
    assert 1_440 <= seconds[0] < 1_500
    assert 2_100 < seconds[-1] <= 2_160


def disabled_metric(reason: str) -> float:
    name = "waybill_webhook_endpoints_disabled_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0
