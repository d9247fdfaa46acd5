"""Recording: ledger and message row depend only on the set of reports."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from service.database import db, transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.models import Attempt, Message, StatusEvent
from service.recording import record
from service.recording.effects import Effect
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.strategies import EPOCH, splits, statements

FIRST, SECOND = UUID(int=1), UUID(int=2)
# Two attempts of one message, one of another; UUID 99 is unknown.
ATTEMPTS = {FIRST: 1, SECOND: 2, UUID(int=3): 1}
# Each runs some thirty transactions.
EXAMPLES = settings.default.max_examples * 3 // 5
heard_reports = st.lists(statements([*ATTEMPTS, UUID(int=99), None]), max_size=8)


def _attempt(attempt_id: UUID, message_id: UUID, number: int) -> Attempt:
    return Attempt(
        id=attempt_id, message_id=message_id, number=number, provider="twilio", started_at=EPOCH
    )


def _create_messages(post: Post) -> None:
    """Create two messages with claimed attempts and an empty ledger."""
    one, other = post(), post()
    with transaction():
        db.session.add_all([_attempt(FIRST, one, 1), _attempt(SECOND, one, 2)])
        db.session.add(_attempt(UUID(int=3), other, 1))


def _reset() -> None:
    with transaction():
        db.session.execute(delete(StatusEvent))
        db.session.execute(update(Attempt).values(provider_sid=None))
        db.session.execute(
            update(Message).values(
                status=Status.SUBMITTING,
                outcome_attempt=None,
                updated_at=EPOCH,
                final_at=None,
                provider_sid=None,
                error_code=None,
                error_message=None,
                failed_in=0,
                delivered_in=0,
                segments=None,
                price=None,
                price_currency=None,
            )
        )


def _state() -> tuple[list[dict[str, Any]], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return all message rows, events and bound SIDs."""
    db.session.rollback()
    messages = db.session.execute(select(Message.__table__).order_by(Message.id))
    # `check_at` does not depend on reports, and `version` counts the transactions.
    rows = [{**row._mapping, "check_at": None, "version": None} for row in messages]
    # These columns depend on the order and time of recording.
    excluded = ("id", "recorded_at")
    columns = [column for column in StatusEvent.__table__.columns if column.name not in excluded]
    events = db.session.execute(select(*columns).order_by(StatusEvent.identity))
    sids = db.session.execute(select(Attempt.id, Attempt.provider_sid).order_by(Attempt.id))
    return rows, [(*row[:-1], str(row[-1])) for row in events], [tuple(row) for row in sids]


def _play(batches: Sequence[Sequence[StatusReport]]) -> Any:
    _reset()
    for batch in batches:
        record.record(batch)
    record.adopt_orphans()
    return _state()


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_repeats_and_batches_give_the_same_rows(
    data: st.DataObject, context: Flask, post: Post
) -> None:
    if not db.session.scalars(select(Attempt.id)).all():
        _create_messages(post)
    heard = data.draw(heard_reports)
    batches = data.draw(splits(heard))
    everything = [report for batch in batches for report in batch]

    assert _play(batches) == _play([everything]) == _play([[report] for report in everything])


def test_equal_reports_are_one_event_with_repeats(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    post()
    deliver.deliver()
    attempt = provider.on_air[0].attempt_id
    sent = said("sent", attempt_id=attempt, sid=provider.sid(attempt))

    first, second = record.record([sent, sent]), record.record([sent])

    assert first.effects == [Effect.RECORDED, Effect.REPEAT]
    assert second.effects == [Effect.REPEAT]
    event = db.session.scalars(select(StatusEvent).where(StatusEvent.word == "sent")).one()
    assert event.repeats == 2


def test_callback_with_only_a_sid_finds_its_message(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    deliver.deliver()
    record.record([said("delivered", sid=provider.sid(provider.on_air[0].attempt_id))])
    assert _message(message_id).status is Status.DELIVERED


def test_report_about_an_unknown_message_is_an_orphan(context: Flask, post: Post) -> None:
    message_id = post()
    tally = record.record([said("delivered", attempt_id=UUID(int=7), sid="SMforeign")])
    assert tally.effects == [Effect.ORPHAN]
    event = db.session.scalars(select(StatusEvent)).one()
    assert event.message_id is None
    assert event.provider_sid == "SMforeign"
    assert _message(message_id).status is Status.PENDING


def test_orphan_is_adopted_when_its_sid_becomes_known(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    """A callback without an attempt id in its URL, received before the answer to the send."""
    message_id = post()

    def overtaken(outbound: Any) -> StatusReport:
        record.record([said("delivered", sid=provider.sid(outbound.attempt_id))])
        return provider.take(outbound)

    provider.script = overtaken
    deliver.deliver()

    assert _message(message_id).status is Status.DELIVERED
    events = db.session.scalars(select(StatusEvent)).all()
    assert {event.message_id for event in events} == {message_id}


def test_orphan_is_adopted_by_the_periodic_task(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    deliver.deliver()
    sid = provider.sid(provider.on_air[0].attempt_id)
    record.record([said("delivered", attempt_id=UUID(int=7), sid="SMlate")])
    with transaction():
        db.session.execute(update(StatusEvent).values(provider_sid=sid))
        db.session.execute(
            update(StatusEvent).where(StatusEvent.word == "delivered").values(message_id=None)
        )

    assert record.adopt_orphans() == 1
    assert _message(message_id).status is Status.DELIVERED
    assert record.adopt_orphans() == 0


def test_unknown_status_is_recorded_and_changes_nothing(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    message_id = post()
    deliver.deliver()
    attempt = provider.on_air[0].attempt_id
    record.record([said("partially_delivered", attempt_id=attempt)])
    assert _message(message_id).status is Status.QUEUED
    events = db.session.scalars(select(StatusEvent).where(StatusEvent.status.is_(None))).all()
    assert [event.word for event in events] == ["partially_delivered"]


def test_contradicting_final_statuses_count_once(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    post()
    deliver.deliver()
    attempt = provider.on_air[0].attempt_id
    undelivered = said("undelivered", attempt_id=attempt, error_code="30003")
    tallies = [
        record.record([report])
        for report in (undelivered, said("delivered", attempt_id=attempt), undelivered)
    ]
    assert [tally.conflicts for tally in tallies] == [0, 1, 0]


def _message(message_id: UUID) -> Message:
    db.session.rollback()
    return db.session.scalars(
        select(Message).where(Message.id == message_id).execution_options(populate_existing=True)
    ).one()
