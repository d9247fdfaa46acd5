"""Opt-outs: learned from the provider, and applied before the next send."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event, select

from service.database import db, transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import Refused
from service.models import Attempt, Message, OptOut, StatusEvent
from service.operations import audit
from service.opt_outs import change
from service.providers.base import Outbound
from service.recording import record
from service.sending import claim as claiming
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.opt_outs import store, stored

RECIPIENT = "+14155552671"
SENDER = "+15005550006"
SERVICE = "MG" + "0" * 32


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def attempts(message_id: UUID) -> list[Attempt]:
    return list(db.session.scalars(select(Attempt).where(Attempt.message_id == message_id)))


def refusing(outbound: Outbound) -> StatusReport:
    raise Refused("Attempt to send to unsubscribed recipient", "21610")


@pytest.fixture
def opted_out(post: Post, provider: FakeProvider) -> UUID:
    """A message refused with opted out; later messages are accepted."""
    provider.script = refusing
    message_id = post()
    deliver.deliver()
    provider.script = None
    return message_id


def test_opt_out_refusal_is_stored(opted_out: UUID) -> None:
    assert message(opted_out).error_code == "21610"
    assert stored() == [(RECIPIENT, SENDER, "twilio")]


def test_other_refusal_is_no_opt_out(post: Post, provider: FakeProvider) -> None:
    def script(outbound: Outbound) -> StatusReport:
        raise Refused("not a number", "21211")

    provider.script = script
    post()
    deliver.deliver()
    assert stored() == []


def test_opt_out_callback_is_stored(post: Post) -> None:
    """A Messaging Service accepts the message and reports the refusal later."""
    message_id = post(sender=None, messaging_service_sid=SERVICE)
    deliver.deliver()
    [attempt] = attempts(message_id)
    failed = said("undelivered", attempt_id=attempt.id, error_code="21610")
    record.record([failed, failed])
    assert stored() == [(RECIPIENT, SERVICE, "twilio")]


def test_repeated_callback_does_not_restore_an_opt_out(post: Post) -> None:
    post()
    deliver.deliver()
    attempt = db.session.scalars(select(Attempt)).one()
    refused = said("undelivered", attempt_id=attempt.id, error_code="21610")
    record.record([refused])
    assert change.end(RECIPIENT, None, reason="operator", by="command") == 1
    record.record([refused])
    assert stored() == []


def test_opt_out_callback_before_its_sid_is_known_is_stored(post: Post) -> None:
    post()
    orphan = said("undelivered", sid="SMearly", error_code="21610")
    record.record([orphan])
    [claimed] = claiming.claim(1)
    assert stored() == []
    record.record([said("queued", attempt_id=claimed.outbound.attempt_id, sid="SMearly")])
    assert stored() == [(RECIPIENT, SENDER, "twilio")]


def test_message_to_an_opted_out_number_is_not_sent(
    opted_out: UUID, post: Post, provider: FakeProvider
) -> None:
    message_id = post(body="Again")
    deliver.deliver()
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, "21610")
    assert str(shown.error_message).startswith("Not sent")
    assert (shown.attempts, attempts(message_id), provider.on_air) == (0, [], [])
    assert (shown.claimed_until, shown.check_at, shown.submitted_at) == (None, None, None)
    [event] = db.session.scalars(select(StatusEvent).where(StatusEvent.message_id == message_id))
    assert (event.word, event.attempt_id) == ("opted_out", None)
    assert all(finding.holds for finding in audit.audit())


@pytest.mark.parametrize(
    "other",
    [
        {"to": "+14155552672"},
        {"sender": "+15005550007"},
        {"sender": None, "messaging_service_sid": SERVICE},
        {"messaging_service_sid": SERVICE},
    ],
    ids=str,
)
def test_opt_out_is_per_recipient_and_sender(
    opted_out: UUID, post: Post, provider: FakeProvider, other: dict[str, str | None]
) -> None:
    message_id = post(**other)
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED


def test_messages_of_test_keys_ignore_opt_outs(opted_out: UUID, post: Post) -> None:
    with transaction():
        db.session.add(
            OptOut(
                to=RECIPIENT,
                sender=SENDER,
                provider="sandbox",
                error_code="21610",
                since=datetime.now(UTC),
            )
        )
    post(provider="sandbox")
    [claim] = claiming.claim(10)
    assert claim.message.provider == "sandbox"


def test_many_opted_out_messages_do_not_delay_others(
    opted_out: UUID, post: Post, provider: FakeProvider
) -> None:
    for _ in range(7):
        post()
    last = post(to="+14155552672")
    assert [claim.message.id for claim in claiming.claim(2)] == [last]


def test_claim_reads_opt_outs_in_one_query(opted_out: UUID, post: Post) -> None:
    queries = list[str]()

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM opt_out" in statement:
            queries.append(statement)

    for number in range(10):
        post(to=f"+1415555300{number}")
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert len(claiming.claim(10)) == 10
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(queries) == 1


@pytest.mark.parametrize(("age", "left"), [(1, 0), (-1, 1)], ids=["sent after", "sent before"])
def test_delivery_of_a_later_message_ends_an_opt_out(
    post: Post, provider: FakeProvider, age: int, left: int
) -> None:
    """A late delivery of a message sent before the opt-out does not end it."""
    message_id = post()
    deliver.deliver()
    [attempt_id] = [attempt.id for attempt in attempts(message_id)]
    store(since=datetime.now(UTC) - timedelta(days=age))
    record.record([said("delivered", attempt_id=attempt_id)])
    assert len(stored()) == left


def test_report_on_an_earlier_attempt_outranks_opted_out(
    post: Post, provider: FakeProvider, make_due: Callable[[UUID], None]
) -> None:
    """The first attempt seemed not accepted, and the second was suppressed."""
    message_id = post()
    [claimed] = claiming.claim(1)
    store()
    make_due(message_id)
    assert claiming.claim(1) == []
    assert message(message_id).status is Status.FAILED
    record.record([said("sent", attempt_id=claimed.outbound.attempt_id)])
    assert message(message_id).status is Status.SENT


@pytest.fixture
def make_due(context: Flask) -> Callable[[UUID], None]:
    def make(message_id: UUID) -> None:
        with transaction():
            row = db.session.get_one(Message, message_id)
            row.status, row.due_at = Status.PENDING, datetime.now(UTC)

    return make
