"""Erasing a number removes it from all tables and keeps outcomes."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from service.database import db, transaction
from service.domain.report import Source
from service.domain.status import Status
from service.errors import Invalid
from service.models import Attempt, DeadLetter, Message, StatusEvent
from service.operations import audit as auditing
from service.privacy import erase, redact
from service.providers.base import Callback
from service.queries import audit, callbacks
from service.recording import record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.opt_outs import store, stored
from tests.strategies import EPOCH

NUMBER, OTHER = "+14155552671", "+14155552672"
DIGITS = NUMBER[1:]


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def everything() -> str:
    db.session.rollback()
    tables = db.metadata.sorted_tables
    return str(
        [dict(row) for table in tables for row in db.session.execute(select(table)).mappings()]
    )


def attempt_of(message_id: UUID) -> UUID:
    query = select(Attempt.id).where(Attempt.message_id == message_id)
    return db.session.scalars(query).one()


def end(message_id: UUID, word: str = "undelivered") -> None:
    """Record the last report about a message, with an error text that quotes the number."""
    report = said(
        word, attempt_id=attempt_of(message_id), source=Source.CALLBACK, error_code="30005"
    )
    quote = f"{NUMBER} is unknown"
    record.record([report._replace(raw={"To": NUMBER}, error_message=quote)])


@pytest.fixture
def ended(post: Post, provider: FakeProvider) -> UUID:
    message_id = post(body=f"Call {NUMBER}", reference="Ada", details={"name": "Ada"})
    deliver.deliver()
    end(message_id)
    return message_id


def test_erasure_removes_number_and_keeps_outcomes(ended: UUID, post: Post) -> None:
    whatsapp = post(to=f"whatsapp:{NUMBER}")
    deliver.deliver()
    end(whatsapp)
    before, _ = audit.messages(None, datetime.now(UTC))

    assert erase.erase_number(NUMBER).redacted == 2
    assert DIGITS not in everything()
    assert "Ada" not in everything()
    shown = message(ended)
    assert shown.to.startswith("forgotten:")
    assert (shown.status, shown.error_code) == (Status.UNDELIVERED, "30005")
    after, _ = audit.messages(None, datetime.now(UTC))
    assert after.by_status == before.by_status
    assert [finding.text for finding in auditing.audit() if not finding.holds] == []


def test_erasure_keeps_messages_to_others(ended: UUID, post: Post) -> None:
    others = [post(to=OTHER), post(to=NUMBER + "5", body="Hello")]
    erase.erase_number(NUMBER)
    assert [message(message_id).body for message_id in others] == ["Hello", "Hello"]


def test_messages_to_one_number_share_a_pseudonym(ended: UUID, post: Post) -> None:
    second = post()
    deliver.deliver()
    end(second)
    erase.erase_number(NUMBER)
    assert message(ended).to == message(second).to


def test_second_erasure_does_nothing(ended: UUID) -> None:
    erase.erase_number(NUMBER)
    name = message(ended).to
    assert erase.erase_number(NUMBER) == (0, [], 0, 0, 0, 0, True)
    assert message(ended).to == name


def test_message_under_way_is_erased_when_it_ends(post: Post, provider: FakeProvider) -> None:
    message_id = post()
    assert erase.erase_number(NUMBER).under_way == [(message_id, Status.PENDING)]
    assert erase.erase_number(NUMBER).under_way == [(message_id, Status.PENDING)]
    deliver.deliver()
    assert [outbound.to for outbound in provider.on_air] == [NUMBER]
    assert redact.redact() == 0

    end(message_id)
    assert redact.redact() == 1, "even without REDACT_AFTER"
    assert DIGITS not in everything()
    assert erase.erase_number(NUMBER).under_way == []


def test_later_report_is_recorded_without_number(ended: UUID) -> None:
    erase.erase_number(NUMBER)
    end(ended, "delivered")
    assert message(ended).status is Status.DELIVERED
    assert DIGITS not in everything()


def test_erasure_removes_number_from_orphans(context: Flask) -> None:
    for sid, number in (("SM1", NUMBER), ("SM2", NUMBER + "5")):
        record.record([said("sent", sid=sid)._replace(raw={"To": number, "SmsStatus": "sent"})])
    assert erase.erase_number(NUMBER).orphans == 1
    raw = {event.provider_sid: event.raw for event in db.session.scalars(select(StatusEvent))}
    assert raw == {"SM1": {"SmsStatus": "sent"}, "SM2": {"To": NUMBER + "5", "SmsStatus": "sent"}}


def test_erasure_deletes_dead_letters_with_number(context: Flask) -> None:
    for body in (f"To=%2B{DIGITS}&x=poison", f"To=%2B{DIGITS}5&x=poison"):
        with transaction():
            callbacks.add_dead_letter(
                Callback("twilio", "", body.encode(), EPOCH), "ZeroDivisionError", EPOCH
            )
    assert erase.erase_number(NUMBER).dead_letters == 1
    [left] = db.session.scalars(select(DeadLetter))
    assert left.body.startswith(f"To=%2B{DIGITS}5".encode())


def test_erasure_deletes_opt_outs(context: Flask) -> None:
    store(NUMBER)
    store(OTHER)
    assert erase.erase_number(NUMBER).opt_outs == 1
    assert [to for to, *_ in stored()] == [OTHER]


def test_erasure_runs_in_batches(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "BATCH", 2)
    ids = [post() for _ in range(5)]
    deliver.deliver()
    for message_id in ids[:3]:
        end(message_id)
    done = erase.erase_number(NUMBER)
    assert (done.redacted, len(done.under_way)) == (3, 2)


@pytest.mark.parametrize(
    "number", ["", "+", "%", "14155552671", "+1415", "forgotten:0123", "+1415555267a", "*"]
)
def test_invalid_number_is_refused(ended: UUID, number: str) -> None:
    with pytest.raises(Invalid):
        erase.erase_number(number)
    assert message(ended).redacted_at is None
