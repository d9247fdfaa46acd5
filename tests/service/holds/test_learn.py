"""Delivery reports with codes about the account, a sender or a country open holds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from service.database import db, transaction
from service.domain.scope import HoldKind, Scope
from service.domain.status import Status
from service.holds import blocks
from service.models import Attempt, Hold, Message
from service.recording import record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.holds.conftest import holds, message, probe_now

Sent = Callable[[], UUID]


@pytest.fixture
def sent(post: Post, provider: FakeProvider) -> Sent:
    """Send a message; return its id."""

    def send() -> UUID:
        message_id = post()
        deliver.deliver()
        return message_id

    return send


def attempt(message_id: UUID) -> UUID:
    db.session.rollback()
    return db.session.scalars(select(Attempt.id).where(Attempt.message_id == message_id)).one()


def report(message_id: UUID, word: str, code: str | None = None) -> Any:
    attempt_id = attempt(message_id)
    sid = FakeProvider.sid(attempt_id)
    return record.record([said(word, attempt_id=attempt_id, sid=sid, error_code=code)])


def test_report_about_the_account_blocks_it(sent: Sent) -> None:
    report(sent(), "failed", "30002")
    [hold] = holds()
    assert (hold.kind, hold.scope, hold.account) == (HoldKind.BLOCKED, Scope.ACCOUNT, "default")
    hold_id, waits = hold.id, sent()
    assert message(waits).hold_id == hold_id


def test_reports_of_three_messages_block_their_sender(sent: Sent) -> None:
    first, second, third = sent(), sent(), sent()
    report(first, "undelivered", "30034")
    report(first, "failed", "30034")
    report(second, "undelivered", "30034")
    assert [hold.kind for hold in holds()] == [HoldKind.SUSPECTED]
    report(third, "undelivered", "30034")
    [hold] = holds()
    assert (hold.kind, hold.value) == (HoldKind.BLOCKED, "+15005550006")


def test_repeated_report_opens_no_second_hold(sent: Sent) -> None:
    failed = sent()
    report(failed, "failed", "30002")
    with transaction():
        blocks.end([holds()[0].id], datetime.now(UTC))
        db.session.execute(update(Hold).values(ended_at=datetime.now(UTC) - timedelta(days=1)))
    report(failed, "failed", "30002")
    assert len(holds()) == 1


def test_report_on_an_attempt_before_the_end_blocks_nothing(sent: Sent) -> None:
    """Reports of the failed messages come minutes after the account accepts again."""
    earlier, late = sent(), sent()
    report(earlier, "failed", "30002")
    with transaction():
        blocks.end([holds()[0].id], datetime.now(UTC))
    report(late, "failed", "30002")
    assert [hold.ended_at is None for hold in holds()] == [False]


def test_acceptance_does_not_end_a_block_from_reports(sent: Sent, provider: FakeProvider) -> None:
    report(sent(), "failed", "30002")
    waits, probe = sent(), None
    probe_now()
    deliver.deliver()
    probe = waits
    assert message(probe).status is Status.QUEUED
    assert [hold.ended_at for hold in holds()] == [None]
    behind = sent()
    assert message(behind).hold_id is not None

    report(probe, "delivered")
    deliver.deliver()
    deliver.deliver()
    assert message(behind).status is Status.QUEUED
    assert holds()[0].ended_at is not None


def test_probe_that_stays_sent_ends_the_block(sent: Sent) -> None:
    report(sent(), "failed", "30002")
    probe = sent()
    probe_now()
    deliver.deliver()
    report(probe, "sent")
    deliver.deliver()
    assert holds()[0].ended_at is None
    with transaction():
        long_ago = datetime.now(UTC) - timedelta(minutes=2)
        db.session.execute(update(Message).where(Message.id == probe).values(updated_at=long_ago))
    deliver.deliver()
    assert holds()[0].ended_at is not None


def test_failed_probe_keeps_the_block(sent: Sent) -> None:
    report(sent(), "failed", "30002")
    probe = sent()
    probe_now()
    deliver.deliver()
    report(probe, "failed", "30002")
    deliver.deliver()
    assert [hold.ended_at for hold in holds()] == [None]


@pytest.mark.parametrize("code", ["30003", "99999", None])
def test_other_failures_make_no_query(sent: Sent, code: str | None) -> None:
    failed, statements = sent(), list[str]()
    attempt_id = attempt(failed)

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        record.record([said("failed", attempt_id=attempt_id, error_code=code)])
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    queries = [text for text in statements if "webhook_delivery" not in text]
    assert not [text for text in queries if "FROM hold" in text or "JOIN" in text]
    assert holds() == []


def test_report_of_a_test_message_blocks_nothing(context: Flask, sent: Sent) -> None:
    attempt_id = attempt(sent())
    failed = said("failed", attempt_id=attempt_id, error_code="30002")
    record.record([failed._replace(provider="sandbox")])
    assert holds() == []
