"""Reconciliation looks up messages in doubt and polls messages without a final status."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from service.components import components
from service.database import db, transaction
from service.domain.report import Source, StatusReport
from service.domain.status import Status, is_final
from service.errors import OUTCOME_UNKNOWN, NotAccepted, OutcomeUnknown
from service.models import Attempt, Message, StatusEvent
from service.providers.base import LookUpQuery, Outbound
from service.reconciliation import poll
from service.reconciliation.poll import reconcile, reconcile_due
from service.recording import record
from service.sending import claim, deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

LONG_AGO = timedelta(hours=13)


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def words(message_id: UUID) -> list[str]:
    query = select(StatusEvent.word).where(StatusEvent.message_id == message_id)
    return list(db.session.scalars(query.order_by(StatusEvent.id)))


def age(**columns: datetime) -> None:
    """Move every message into the past."""
    with transaction():
        db.session.execute(update(Message).values(columns))


def make_checkable() -> None:
    age(check_at=datetime.now(UTC) - timedelta(seconds=1))


@pytest.fixture
def lost(post: Post, provider: FakeProvider) -> Callable[..., UUID]:
    """Send a message whose answer is lost; `taken`: whether the provider accepted it."""

    def send(*, taken: bool, **changes: object) -> UUID:
        def script(outbound: Outbound) -> StatusReport:
            if taken:
                provider.take(outbound)
            raise OutcomeUnknown("no answer (ReadTimeout)")

        provider.script = script
        message_id = post(**changes)
        deliver.deliver()
        provider.script = None
        return message_id

    return send


def look_up_to_the_end(message_id: UUID) -> None:
    for _ in range(components().settings.doubt_lookups):
        make_checkable()
        assert reconcile_due() == 1


def test_successful_look_up_ends_doubt_and_binds_sid(
    lost: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = lost(taken=True)
    assert reconcile_due() == 0, "callbacks have some time first"
    make_checkable()
    assert reconcile_due() == 1
    shown = message(message_id)
    assert shown.status is Status.SENT
    assert shown.provider_sid == provider.sid(provider.on_air[0].attempt_id)
    assert words(message_id) == ["sent"]


def test_doubt_that_begins_during_a_check_is_looked_up(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = post()
    claim.claim(1)
    age(check_at=datetime.now(UTC) - LONG_AGO, claimed_until=datetime.now(UTC) - LONG_AGO)

    def is_final_after_expiry(status: Status) -> bool:
        assert claim.expire_claims() == 1
        return is_final(status)

    monkeypatch.setattr(poll, "is_final", is_final_after_expiry)
    assert reconcile_due() == 1
    monkeypatch.undo()
    shown = message(message_id)
    assert shown.status is Status.IN_DOUBT
    assert shown.check_at is not None, "else no look-up would ever end the doubt"


def test_sid_of_another_attempt_is_not_a_candidate(
    lost: Callable[..., UUID], post: Post, provider: FakeProvider
) -> None:
    other = post()
    deliver.deliver()
    message_id = lost(taken=False)
    make_checkable()
    reconcile([message_id])
    assert message(message_id).status is Status.IN_DOUBT
    assert message(other).status is Status.QUEUED


def test_two_equal_candidates_are_ambiguous(lost: Callable[..., UUID]) -> None:
    first, second = lost(taken=True), lost(taken=True)
    make_checkable()
    reconcile([first])
    shown = message(first)
    assert (shown.status, shown.check_at) == (Status.IN_DOUBT, None)
    assert words(first) == ["ambiguous"]
    assert message(second).status is Status.IN_DOUBT


def test_look_up_waits_while_equal_message_is_submitted(
    lost: Callable[..., UUID], post: Post, provider: FakeProvider
) -> None:
    """The candidate can belong to the other message, which has no answer yet."""
    message_id, other = lost(taken=False), post()

    def script(outbound: Outbound) -> StatusReport:
        provider.take(outbound)
        make_checkable()
        reconcile([message_id])
        return said("queued", attempt_id=outbound.attempt_id, sid="SM-other")

    provider.script = script
    deliver.deliver()
    assert message(message_id).status is Status.IN_DOUBT
    assert message(other).status is Status.QUEUED


def test_poll_fetches_shown_attempt(lost: Callable[..., UUID], provider: FakeProvider) -> None:
    """Two attempts are in doubt and a callback for the first brings its SID."""
    message_id = lost(taken=False, resend_if_unknown=True)
    look_up_to_the_end(message_id)
    first = db.session.scalars(select(Attempt.id)).one()
    provider.script = lambda outbound: (_ for _ in ()).throw(OutcomeUnknown("no answer"))
    deliver.deliver()
    record.record([said("sent", attempt_id=first, sid="SM1")])
    provider.answer = lambda attempt, sid: said("undelivered", attempt_id=attempt, sid=sid)
    reconcile([message_id], force=True)
    shown = message(message_id)
    assert (shown.status, shown.outcome_attempt) == (Status.UNDELIVERED, 1)


def test_message_fails_after_last_look_up(
    lost: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = lost(taken=False)
    look_up_to_the_end(message_id)
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, OUTCOME_UNKNOWN)
    assert words(message_id) == [*["not_found"] * 4, OUTCOME_UNKNOWN]
    assert provider.on_air == []


def test_pauses_between_look_ups_double(lost: Callable[..., UUID]) -> None:
    message_id = lost(taken=False)
    pauses = []
    for _ in range(3):
        make_checkable()
        reconcile_due()
        then = message(message_id).check_at
        assert then is not None
        pauses.append(round((then - datetime.now(UTC)).total_seconds()))
    assert pauses == [20, 40, 80]


def test_resend_if_unknown_makes_new_attempt(
    lost: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = lost(taken=False, resend_if_unknown=True)
    look_up_to_the_end(message_id)
    assert message(message_id).status is Status.PENDING
    assert deliver.deliver() == 1
    assert message(message_id).status is Status.QUEUED
    assert [outbound.attempt for outbound in provider.on_air] == [2]
    assert words(message_id)[-2:] == ["resend", "queued"]


@pytest.mark.parametrize("word", ["sent", "delivered", "undelivered"])
def test_late_report_outranks_outcome_unknown(lost: Callable[..., UUID], word: str) -> None:
    message_id = lost(taken=False)
    look_up_to_the_end(message_id)
    attempt = db.session.scalars(select(Attempt)).one()
    record.record([said(word, attempt_id=attempt.id, sid="SM1")])
    assert message(message_id).status == word


def test_message_without_final_status_is_polled(post: Post, provider: FakeProvider) -> None:
    """Also `sent`: the status stays if the last callback is lost."""
    message_id = sent(post, provider)
    provider.answer = lambda attempt, sid: said(
        "delivered", attempt_id=attempt, sid=sid, source=Source.RECONCILIATION
    )
    make_checkable()
    reconcile_due()
    assert message(message_id).status is Status.SENT, "not due yet"

    make_checkable()
    age(submitted_at=datetime.now(UTC) - LONG_AGO)
    reconcile_due()
    shown = message(message_id)
    assert (shown.status, shown.check_at) == (Status.DELIVERED, None)
    [event] = db.session.scalars(select(StatusEvent).where(StatusEvent.word == "delivered"))
    assert event.source is Source.RECONCILIATION


def test_forced_reconcile_polls_before_due(post: Post, provider: FakeProvider) -> None:
    message_id = sent(post, provider)
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)
    reconcile([message_id], force=True)
    assert message(message_id).status is Status.DELIVERED


def test_polling_stops_after_horizon_with_unknown_outcome(
    post: Post, provider: FakeProvider
) -> None:
    message_id = sent(post, provider)
    provider.answer = lambda attempt, sid: said("sent", attempt_id=attempt, sid=sid)
    age(submitted_at=datetime.now(UTC) - timedelta(days=5))
    make_checkable()
    assert reconcile_due() == 1
    shown = message(message_id)
    assert shown.status is Status.SENT
    assert shown.unknown_since is not None
    sid = shown.provider_sid
    assert reconcile_due() == 0

    record.record([said("delivered", sid=sid)])
    shown = message(message_id)
    assert (shown.status, shown.unknown_since) == (Status.DELIVERED, None)


def test_not_found_poll_does_not_change_status(post: Post, provider: FakeProvider) -> None:
    message_id = sent(post, provider)
    age(submitted_at=datetime.now(UTC) - LONG_AGO)
    make_checkable()
    reconcile_due()
    assert message(message_id).status is Status.SENT
    assert words(message_id)[-1] == "not_known"


def test_rate_limited_provider_is_not_asked_again_in_a_run(
    post: Post, provider: FakeProvider
) -> None:
    messages = [sent(post, provider) for _ in range(3)]
    age(submitted_at=datetime.now(UTC) - LONG_AGO)
    sids = []

    def slow_down(attempt: UUID, sid: str) -> StatusReport:
        sids.append(sid)
        raise NotAccepted("too many requests", "20429")

    provider.answer = slow_down
    assert reconcile(messages) == messages
    assert len(sids) == 1
    assert all(message(message_id).check_at is not None for message_id in messages)


def test_unavailable_provider_does_not_block_others(post: Post, provider: FakeProvider) -> None:
    """The other provider is no longer configured."""
    messages = [sent(post, provider) for _ in range(4)]
    gone = messages[0::2]
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)
    age(submitted_at=datetime.now(UTC) - LONG_AGO)
    with transaction():
        for table, key in ((Message, Message.id), (Attempt, Attempt.message_id)):
            db.session.execute(update(table).where(key.in_(gone)).values(provider="gone"))
    assert reconcile(messages) == gone
    assert {message(message_id).status for message_id in messages[1::2]} == {Status.DELIVERED}
    assert {message(message_id).status for message_id in gone} == {Status.SENT}


def test_look_up_by_attempt_id_needs_no_comparison(
    lost: Callable[..., UUID], provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that stores our id tells equal messages apart."""
    first, second = lost(taken=True), lost(taken=True)

    def by_our_id(query: LookUpQuery) -> list[StatusReport]:
        return [said("sent", attempt_id=query.attempt_id, sid=provider.sid(query.attempt_id))]

    monkeypatch.setattr(provider, "find", by_our_id, raising=True)
    for message_id in (first, second):
        reconcile([message_id])
        assert message(message_id).status is Status.SENT
    assert message(first).provider_sid != message(second).provider_sid


def test_equal_messages_at_two_providers_are_not_confusable(
    lost: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id, elsewhere = lost(taken=True), lost(taken=False)
    with transaction():
        moved = update(Message).where(Message.id == elsewhere).values(provider="another")
        db.session.execute(moved)
    reconcile([message_id])
    assert message(message_id).status is Status.SENT


def test_reconcile_respects_budget(post: Post, provider: FakeProvider) -> None:
    messages = [sent(post, provider) for _ in range(8)]
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)
    make_checkable()
    age(submitted_at=datetime.now(UTC) - LONG_AGO)
    assert reconcile_due() == components().settings.reconcile_budget == 5
    assert reconcile_due() == 3
    assert reconcile_due() == 0
    assert {message(message_id).status for message_id in messages} == {Status.DELIVERED}


def sent(post: Post, provider: FakeProvider) -> UUID:
    message_id = post()
    deliver.deliver()
    attempt = provider.on_air[-1].attempt_id
    record.record([said("sent", attempt_id=attempt, sid=provider.sid(attempt))])
    return message_id
