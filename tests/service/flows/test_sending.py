"""Deliver: at most once on the air, whatever the provider answers and whoever dies."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update

from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import GAVE_UP, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.extensions import db, parts, transaction
from service.flows import recording, sending
from service.models import Attempt, Message
from service.providers.contract import Outbound
from tests.fakes import FakeProvider, said
from tests.messages import Post


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def attempts(message_id: UUID) -> list[Attempt]:
    query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.number)
    return list(db.session.scalars(query))


def failing(error: ProviderError) -> Callable[[Outbound], StatusReport]:
    def script(outbound: Outbound) -> StatusReport:
        raise error

    return script


def test_an_accepted_message_carries_what_the_provider_said(
    post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    sending.deliver(message_id)
    shown = message(message_id)
    [attempt] = attempts(message_id)
    assert shown.status is Status.QUEUED
    assert shown.provider_sid == attempt.provider_sid == provider.sid(attempt.id)
    assert attempt.answer == "accepted"
    assert shown.submitted_at is not None


def test_a_message_whose_provider_is_not_configured_waits_for_it(
    post: Post, provider: FakeProvider
) -> None:
    message_id = post(provider="gone")
    sending.deliver(message_id)
    [attempt] = attempts(message_id)
    assert (attempt.answer, attempt.answer_text) == ("not_accepted", "gone is not configured")
    assert message(message_id).status is Status.PENDING
    assert provider.on_air == []


def test_a_task_that_comes_twice_sends_once(post: Post, provider: FakeProvider) -> None:
    message_id = post()
    sending.deliver(message_id)
    sending.deliver(message_id)
    assert len(provider.on_air) == 1


def test_workers_that_deliver_at_the_same_moment_send_once(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    message_id, start = post(), Barrier(6)

    def deliver(_: int) -> None:
        start.wait()
        with context.app_context():
            sending.deliver(message_id)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(deliver, range(6)))
    assert len(provider.on_air) == 1


def test_no_connection_is_held_while_the_provider_is_asked(
    post: Post, provider: FakeProvider
) -> None:
    held = []

    def script(outbound: Outbound) -> StatusReport:
        held.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return provider.take(outbound)

    provider.script = script
    sending.deliver(post())
    assert held == [0]


def test_a_refusal_is_final_and_stands_in_the_ledger(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(Refused("not a mobile", "21614", {"status": 400}))
    message_id = post()
    sending.deliver(message_id)
    sending.deliver(message_id)
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, "21614")
    assert shown.error_message == "not a mobile"
    assert [attempt.answer for attempt in attempts(message_id)] == ["refused"]


def test_a_message_the_provider_did_not_take_waits_and_goes_out_again(
    post: Post, provider: FakeProvider
) -> None:
    provider.script = failing(NotAccepted("too many", "20429"))
    message_id = post()
    sending.deliver(message_id)
    waiting = message(message_id)
    assert waiting.status is Status.PENDING
    assert waiting.next_attempt_at > datetime.now(UTC)

    sending.deliver(message_id)
    assert len(attempts(message_id)) == 1, "not before its time"

    provider.script = None
    make_due(message_id)
    assert sending.enqueue_due() == 1
    sending.deliver(message_id)
    assert message(message_id).status is Status.QUEUED
    assert [attempt.answer for attempt in attempts(message_id)] == ["not_accepted", "accepted"]


def test_the_pause_between_attempts_grows_and_is_bounded() -> None:
    pauses = [sending._pause(attempt).total_seconds() for attempt in range(1, 60)]
    assert 0.5 <= pauses[0] <= 1
    assert all(30 <= pause <= 60 for pause in pauses[10:])


def test_after_enough_attempts_the_message_fails_and_says_why(
    post: Post, provider: FakeProvider
) -> None:
    provider.script = failing(NotAccepted("too many", "20429"))
    message_id = post()
    for _ in range(parts().settings.send_attempts):
        make_due(message_id)
        sending.deliver(message_id)
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, GAVE_UP)


def test_an_unknown_outcome_is_in_doubt_and_never_sent_again(
    post: Post, provider: FakeProvider
) -> None:
    provider.script = failing(OutcomeUnknown("no answer (ReadTimeout)"))
    message_id = post()
    sending.deliver(message_id)
    provider.script = None
    sending.deliver(message_id)
    make_due(message_id)
    assert sending.enqueue_due() == 0
    assert message(message_id).status is Status.IN_DOUBT
    assert provider.on_air == []


def test_a_callback_that_proves_the_send_ends_the_doubt_and_brings_the_sid(
    post: Post, provider: FakeProvider
) -> None:
    """A send that timed out and yet went out: the callback bears the attempt's id."""
    provider.script = failing(OutcomeUnknown("no answer (ReadTimeout)"))
    message_id = post()
    sending.deliver(message_id)
    [attempt] = attempts(message_id)
    recording.record([said("delivered", attempt_id=attempt.id, sid="SM1")])
    shown = message(message_id)
    assert (shown.status, shown.provider_sid) == (Status.DELIVERED, "SM1")


@pytest.mark.parametrize("word", ["sent", "delivered", "failed"])
def test_a_callback_that_overtakes_the_answer_to_its_send_ends_in_the_right_row(
    post: Post, provider: FakeProvider, word: str
) -> None:
    """The provider calls back before it answers, so before our commit of the answer."""

    def script(outbound: Outbound) -> StatusReport:
        sid = provider.sid(outbound.attempt_id)
        recording.record([said(word, attempt_id=outbound.attempt_id, sid=sid)])
        return provider.take(outbound)

    provider.script = script
    message_id = post()
    sending.deliver(message_id)
    shown = message(message_id)
    assert shown.status == word
    assert shown.provider_sid == provider.sid(provider.on_air[0].attempt_id)


@pytest.mark.parametrize(
    "error", [NotAccepted("too many", "20429"), OutcomeUnknown("no answer"), Refused("no", "21610")]
)
def test_a_callback_that_came_first_beats_what_our_call_made_of_it(
    post: Post, provider: FakeProvider, error: ProviderError
) -> None:
    """Proof of transmission outranks our own guess about the same attempt."""

    def script(outbound: Outbound) -> StatusReport:
        recording.record([said("delivered", attempt_id=outbound.attempt_id, sid="SM1")])
        raise error

    provider.script = script
    message_id = post()
    sending.deliver(message_id)
    assert message(message_id).status is Status.DELIVERED
    make_due(message_id)
    assert sending.enqueue_due() == 0


def test_a_worker_that_died_before_the_call_is_replaced_and_the_message_goes_out_once(
    post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    claimed = sending._claim(message_id)
    assert claimed is not None  # and then it dies
    assert sending.expire_claims() == 0, "the lease still runs"
    end_leases()
    assert sending.expire_claims() == 1
    assert sending.enqueue_due() == 1
    sending.deliver(message_id)
    assert message(message_id).status is Status.QUEUED
    assert sending._begin(claimed) is None, "the dead comes back and finds its claim lost"
    assert len(provider.on_air) == 1


def test_a_worker_that_died_in_the_call_leaves_a_doubt_and_no_second_send(
    post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    claimed = sending._claim(message_id)
    assert claimed is not None
    assert sending._begin(claimed) is not None  # and then it dies
    end_leases()
    assert sending.expire_claims() == 1
    sending.deliver(message_id)
    assert message(message_id).status is Status.IN_DOUBT
    assert provider.on_air == []


def test_a_lost_enqueue_is_found_by_the_sweep(post: Post) -> None:
    message_id = post()
    assert sending.enqueue_due() == 0, "it was enqueued a moment ago"
    make_due(message_id)
    assert sending.enqueue_due() == 1
    assert sending.enqueue_due() == 0, "and now it is enqueued again"
    sending.deliver(message_id)
    assert message(message_id).status is Status.QUEUED


def end_leases() -> None:
    with transaction():
        past = datetime.now(UTC) - timedelta(seconds=1)
        db.session.execute(update(Message).values(claimed_until=past))


def make_due(message_id: UUID) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    with transaction():
        db.session.execute(
            update(Message)
            .where(Message.id == message_id)
            .values(next_attempt_at=past, enqueue_at=past)
        )


def test_a_long_queue_is_not_made_longer_and_a_lost_one_is_filled_again(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = post()
    make_due(message_id)
    with monkeypatch.context() as patched:
        patched.setattr(type(parts().queue), "depth", lambda *_: 1001)
        assert sending.enqueue_due() == 0
    assert sending.enqueue_due() == 1, "at once, and not after a pause"
