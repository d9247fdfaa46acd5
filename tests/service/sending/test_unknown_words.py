"""A provider that gives a SID has accepted the message, also with an unknown status."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update

from service.components import components
from service.database import db, transaction
from service.domain.report import Source
from service.domain.status import Status
from service.errors import Conflict, OutcomeUnknown
from service.models import Attempt, Message, StatusEvent
from service.operations import audit, operator_actions, rebuild
from service.providers import configured
from service.providers.base import Callback
from service.queries import reconciliation
from service.reconciliation.poll import reconcile, reconcile_due
from service.recording import consume_inbox, record
from service.sending import deliver
from tests.conftest import SINCH, make_settings
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.stand import Stand, standing

ODD_WORDS = ["partially_delivered", "teleported", "", None, 7, {"a": 1}, ["sent"]]
SID = "SM00000000000000000000000000000001"


@pytest.fixture
def stand(
    context: Flask, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> Iterator[Stand]:
    """A stub server in place of both providers."""
    monkeypatch.setenv("no_proxy", "*")
    with standing() as stand:
        urls = {"TWILIO_API_BASE_URL": stand.url, "SINCH_API_BASE_URL": stand.url}
        providers = configured(make_settings(database_url, redis_url, **SINCH, **urls))
        bound = replace(context.extensions["waybill"], providers=providers)
        monkeypatch.setitem(context.extensions, "waybill", bound)
        yield stand


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def attempts(message_id: UUID) -> list[Attempt]:
    query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.number)
    return list(db.session.scalars(query))


def words(message_id: UUID) -> list[str]:
    db.session.rollback()
    query = select(StatusEvent.word).where(StatusEvent.message_id == message_id)
    return list(db.session.scalars(query.order_by(StatusEvent.id)))


def look_up_for_hours() -> None:
    """Run more rounds of look-ups and sends than the setting allows look-ups."""
    for _ in range(components().settings.doubt_lookups + 2):
        with transaction():
            past = datetime.now(UTC) - timedelta(seconds=1)
            due = Message.check_at.is_not(None)
            db.session.execute(update(Message).where(due).values(check_at=past))
        reconcile_due()
        deliver.deliver()


def assert_sound() -> None:
    db.session.rollback()
    assert list(rebuild.rebuild()) == []
    assert all(finding.holds for finding in audit.audit())


@pytest.mark.parametrize("word", ODD_WORDS, ids=repr)
def test_answer_with_a_sid_is_accepted_and_sent_once(
    post: Post, stand: Stand, word: object
) -> None:
    stand.answer(201, {"sid": SID, "status": word})
    message_id = post(resend_if_unknown=True)
    deliver.deliver()

    shown = message(message_id)
    assert (shown.status, shown.provider_sid) == (Status.ACCEPTED, SID)
    assert_sound()
    look_up_for_hours()
    assert stand.methods == ["POST"], "neither looked up nor sent again"
    assert message(message_id).status is Status.ACCEPTED
    assert [attempt.answer for attempt in attempts(message_id)] == ["accepted"]
    assert words(message_id) == [str(word or "")]


@pytest.mark.parametrize(
    "more",
    [
        {"date_created": 5},
        {"date_created": "Sat, 99 Nov 2026 25:61:00 +0000"},
        {"date_sent": ["x"], "date_updated": {}},
        {"num_segments": {}, "price": [], "error_code": "x" * 500},
    ],
)
def test_answer_with_a_sid_and_odd_fields_is_accepted(
    post: Post, stand: Stand, more: dict[str, Any]
) -> None:
    stand.answer(201, {"sid": SID, "status": "queued", **more})
    message_id = post()
    deliver.deliver()

    assert (message(message_id).status, message(message_id).provider_sid) == (Status.QUEUED, SID)


@pytest.mark.parametrize("sid", [None, "", " ", True, ["SM1"], {"sid": "SM1"}])
def test_answer_without_a_usable_sid_is_in_doubt(post: Post, stand: Stand, sid: object) -> None:
    stand.answer(201, {"sid": sid, "status": "queued"})
    message_id = post()
    deliver.deliver()

    assert (message(message_id).status, message(message_id).provider_sid) == (
        Status.IN_DOUBT,
        None,
    )


@pytest.mark.parametrize("batch_id", [None, "", [], {}, True])
def test_batch_without_a_usable_id_is_in_doubt(post: Post, stand: Stand, batch_id: object) -> None:
    stand.answer(201, {"id": batch_id})
    message_id = post(provider="sinch")
    deliver.deliver()

    assert message(message_id).status is Status.IN_DOUBT


@pytest.fixture
def lost(post: Post, provider: FakeProvider) -> Callable[..., tuple[UUID, UUID]]:
    """Send a message whose answer is lost; return its id and that of its attempt."""

    def send(**changes: Any) -> tuple[UUID, UUID]:
        def script(outbound: Any) -> Any:
            provider.on_air.append(outbound)
            raise OutcomeUnknown("no answer (ReadTimeout)")

        provider.script = script
        message_id = post(resend_if_unknown=True, **changes)
        deliver.deliver()
        provider.script = None
        return message_id, attempts(message_id)[-1].id

    return send


@pytest.mark.parametrize("word", ["partially_delivered", "", "receiving"])
def test_callback_with_a_sid_ends_a_doubt(
    lost: Callable[..., tuple[UUID, UUID]], provider: FakeProvider, word: str
) -> None:
    message_id, attempt_id = lost()
    body = f"MessageSid={SID}&MessageStatus={word}".encode()
    consume_inbox.record_callbacks([Callback("twilio", str(attempt_id), body, datetime.now(UTC))])

    shown = message(message_id)
    assert (shown.status, shown.provider_sid) == (Status.ACCEPTED, SID)
    assert_sound()
    look_up_for_hours()
    assert len(provider.on_air) == 1


def test_sinch_callback_with_unknown_status_ends_a_doubt(post: Post, stand: Stand) -> None:
    stand.answer(500, {"code": "internal_error", "text": "Try again later"})
    message_id = post(provider="sinch", resend_if_unknown=True)
    deliver.deliver()
    assert message(message_id).status is Status.IN_DOUBT
    report = {
        "type": "recipient_delivery_report_sms",
        "batch_id": "01B",
        "client_reference": str(attempts(message_id)[0].id),
        "status": "Teleported",
    }
    body = json.dumps(report).encode()
    consume_inbox.record_callbacks([Callback("sinch", "", body, datetime.now(UTC))])

    shown = message(message_id)
    assert (shown.status, shown.provider_sid) == (Status.ACCEPTED, "01B")


def test_callback_before_the_answer_ends_submitting(post: Post, provider: FakeProvider) -> None:
    def script(outbound: Any) -> Any:
        provider.on_air.append(outbound)
        report = said("teleported", attempt_id=outbound.attempt_id, sid="SM1")
        record.record([report])
        raise OutcomeUnknown("no answer")

    provider.script = script
    message_id = post(resend_if_unknown=True)
    deliver.deliver()

    assert message(message_id).status is Status.ACCEPTED
    look_up_for_hours()
    assert len(provider.on_air) == 1


def test_look_up_with_unknown_status_ends_a_doubt(
    lost: Callable[..., tuple[UUID, UUID]],
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id, _ = lost()
    reports = [said("teleported", sid=SID, source=Source.RECONCILIATION)]
    monkeypatch.setattr(provider, "find", lambda sought: reports)
    look_up_for_hours()

    assert (message(message_id).status, len(provider.on_air)) == (Status.ACCEPTED, 1)


def test_unknown_status_does_not_overwrite_a_status(post: Post, provider: FakeProvider) -> None:
    message_id = post()
    deliver.deliver()
    attempt = provider.on_air[0].attempt_id
    sid = provider.sid(attempt)
    for word in ("sent", "teleported", "delivered", "partially_delivered"):
        record.record([said(word, attempt_id=attempt, sid=sid)])

    assert message(message_id).status is Status.DELIVERED
    assert_sound()


def test_second_attempt_with_unknown_status_is_accepted(
    lost: Callable[..., tuple[UUID, UUID]], provider: FakeProvider
) -> None:
    message_id, first = lost()
    operator_actions.send_again(message_id, "ada")
    provider.script = lambda outbound: said("odd", attempt_id=outbound.attempt_id, sid="SM2")
    deliver.deliver()
    assert (message(message_id).status, message(message_id).outcome_attempt) == (
        Status.ACCEPTED,
        2,
    )
    record.record([said("sent", attempt_id=first, sid="SM1")])

    shown = message(message_id)
    assert (shown.status, shown.outcome_attempt, shown.provider_sid) == (Status.ACCEPTED, 2, "SM2")
    assert_sound()


def test_orphan_with_an_unknown_status_is_adopted(post: Post, provider: FakeProvider) -> None:
    record.record([said("teleported", sid="SM7")])
    provider.script = lambda outbound: said("odd", attempt_id=outbound.attempt_id, sid="SM7")
    message_id = post()
    deliver.deliver()

    assert message(message_id).status is Status.ACCEPTED
    assert sorted(words(message_id)) == ["odd", "teleported"]
    assert_sound()


def set_sid_as_older_version(message_id: UUID, attempt_id: UUID) -> None:
    """Set the SID on an attempt in doubt, as an older version did."""
    with transaction():
        db.session.execute(update(Attempt).where(Attempt.id == attempt_id).values(provider_sid=SID))


def test_doubt_with_a_sid_is_fetched_by_it(
    lost: Callable[..., tuple[UUID, UUID]], provider: FakeProvider
) -> None:
    message_id, attempt_id = lost()
    set_sid_as_older_version(message_id, attempt_id)
    fetched = []

    def answer(attempt: UUID, sid: str) -> Any:
        fetched.append((attempt, sid))
        return said("odd", attempt_id=attempt, sid=sid)

    provider.answer = answer
    reconcile([message_id])

    assert fetched == [(attempt_id, SID)]
    assert message(message_id).status is Status.ACCEPTED


def test_doubt_with_a_sid_is_never_sent_again(
    lost: Callable[..., tuple[UUID, UUID]], provider: FakeProvider
) -> None:
    message_id, attempt_id = lost()
    set_sid_as_older_version(message_id, attempt_id)

    for decide in (operator_actions.send_again, operator_actions.give_up):
        with pytest.raises(Conflict, match=SID):
            decide(message_id, "ada")
    with transaction():
        reconciliation.make_pending(message_id, 1, datetime.now(UTC))
    look_up_for_hours()
    assert (message(message_id).status, len(provider.on_air)) == (Status.IN_DOUBT, 1)
