"""Each report of a batch has one effect."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask

from service.domain.report import Source, StatusReport
from service.errors import Blocked, NoRoute, OutcomeUnknown
from service.providers.base import Outbound
from service.reconciliation import poll
from service.recording import consume_inbox, record
from service.recording.effects import RecordedBatch
from service.sending import claim, deliver
from tests.counted import counting
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.recording.test_consume_inbox import POISON, callback
from tests.service.sending.test_deliver import end_leases

COMMIT = "waybill_callback_commit_duration_seconds"
RECORDED = "waybill_callbacks_recorded_total"


def effects(*reports: StatusReport) -> Mapping[tuple[str, str], int]:
    """Record a batch; return how many of each (status, effect)."""
    batch = record.record(reports)
    assert sum(batch.counts.values()) == len(reports)
    return {(status, effect): count for (_, status, effect), count in batch.counts.items()}


@pytest.fixture
def attempt(post: Post, provider: FakeProvider) -> UUID:
    """The attempt of a message that the provider has."""
    post()
    deliver.deliver()
    return provider.on_air[-1].attempt_id


def test_empty_batch_has_no_effects(context: Flask) -> None:
    assert record.record([]) == RecordedBatch()


def test_equal_report_is_a_repeat(attempt: UUID) -> None:
    sent = said("sent", attempt_id=attempt)

    assert effects(sent, sent) == {("sent", "recorded"): 1, ("sent", "repeat"): 1}
    assert effects(sent) == {("sent", "repeat"): 1}


def test_lower_status_is_late(attempt: UUID) -> None:
    effects(said("sent", attempt_id=attempt))

    assert effects(said("sending", attempt_id=attempt)) == {("sending", "late"): 1}


def test_status_of_the_answer_is_late(attempt: UUID) -> None:
    callback_of_it = said("queued", attempt_id=attempt, source=Source.CALLBACK)

    assert effects(callback_of_it) == {("queued", "late"): 1}


def test_report_after_a_final_status_is_late(attempt: UUID) -> None:
    effects(said("delivered", attempt_id=attempt))

    assert effects(said("read", attempt_id=attempt)) == {("read", "late"): 1}


def test_effects_compare_with_the_status_before_the_batch(attempt: UUID) -> None:
    batch = [said(word, attempt_id=attempt) for word in ("delivered", "sent")]

    assert effects(*batch) == {("delivered", "recorded"): 1, ("sent", "recorded"): 1}


def test_contradicting_final_report_is_a_conflict(attempt: UUID) -> None:
    effects(said("undelivered", attempt_id=attempt))

    assert effects(said("delivered", attempt_id=attempt)) == {("delivered", "conflict"): 1}


def test_report_about_no_message_is_an_orphan(context: Flask) -> None:
    foreign = said("delivered", attempt_id=UUID(int=7), sid="SMforeign")

    assert effects(foreign) == {("delivered", "orphan"): 1}


def test_unknown_word_is_counted_as_other(attempt: UUID) -> None:
    assert effects(said("+14155552671", attempt_id=attempt)) == {("other", "recorded"): 1}


def test_recorded_callbacks_are_counted_by_effect(attempt: UUID) -> None:
    with counting(RECORDED) as counted, counting(f"{COMMIT}_count") as timed:
        consume_inbox.record_callbacks([callback(attempt, "sent"), callback(attempt, "sent")])

    assert counted == {
        ("recorded", "twilio", "sent"): 1,
        ("repeat", "twilio", "sent"): 1,
    }
    assert timed == {(): 2}


def test_commit_time_begins_with_the_arrival(attempt: UUID) -> None:
    came = callback(attempt, "sent")._replace(received_at=datetime.now(UTC) - timedelta(seconds=40))
    with counting(f"{COMMIT}_sum") as seconds, counting(f"{COMMIT}_bucket") as buckets:
        consume_inbox.record_callbacks([came])

    assert 40 <= seconds[()] < 50
    assert sorted(buckets) == [("+Inf",), ("300.0",), ("3600.0",), ("60.0",)]


def test_halved_batch_counts_each_callback_once(attempt: UUID) -> None:
    batch = [callback(attempt, "sent"), POISON, callback(attempt, "delivered")]
    with counting(RECORDED) as counted, counting("waybill_dead_letters_total") as dead:
        consume_inbox.record_callbacks(batch)

    assert sum(counted.values()) == 2
    assert dead == {("twilio",): 1}


def test_status_found_by_a_poll_counts_as_missed(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    deliver.deliver()
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)

    with counting("waybill_callbacks_missed_total") as missed:
        assert poll.reconcile([message_id], force=True) == []
    assert missed == {("twilio",): 1}


def test_known_status_does_not_count_as_missed(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    deliver.deliver()
    consume_inbox.record_callbacks([callback(provider.on_air[-1].attempt_id, "sent")])
    provider.answer = lambda attempt, sid: said("sent", attempt_id=attempt, sid=sid)

    with counting("waybill_callbacks_missed_total") as missed:
        assert poll.reconcile([message_id], force=True) == []
    assert missed == {}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "accepted"),
        (NoRoute("no pair", "21612"), "no_route"),
        (Blocked("inactive", "20005"), "blocked"),
        (OutcomeUnknown("silence"), "unknown"),
        (ZeroDivisionError(), "error"),
    ],
)
def test_sends_are_counted_by_outcome(
    context: Flask, post: Post, provider: FakeProvider, error: Exception | None, outcome: str
) -> None:
    def answer(outbound: Outbound) -> StatusReport:
        if error is not None:
            raise error
        return provider.take(outbound)

    provider.script = answer
    post()
    with (
        counting("waybill_sends_total") as sends,
        counting("waybill_send_duration_seconds_count") as calls,
        counting("waybill_submit_duration_seconds_count") as submits,
    ):
        try:
            deliver.deliver()
        except ZeroDivisionError:
            assert outcome == "error"

    assert sends == {(outcome, "twilio"): 1}
    assert calls == {("twilio",): 1}
    assert submits == ({("twilio",): 1} if error is None else {})


def test_scheduled_message_is_due_at_its_time(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    post(send_at=datetime.now(UTC) + timedelta(seconds=0.3))
    with counting("waybill_submit_duration_seconds_sum") as seconds:
        until = datetime.now(UTC) + timedelta(seconds=5)
        while not provider.on_air and datetime.now(UTC) < until:
            deliver.deliver()
    assert 0 <= seconds[("twilio",)] < 0.3, "held until its time"


def test_expired_claims_are_counted(post: Post) -> None:
    post(), post()
    assert len(claim.claim(10)) == 2  # and then their worker dies
    end_leases()

    with counting("waybill_claims_expired_total") as expired:
        assert claim.expire_claims() == 2
    assert expired == {(): 2}
