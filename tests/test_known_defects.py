"""Defects observed in comparable systems, each with a test. docs/dataflow.md has the promises."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select, update

from service.components import components
from service.database import db, transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import OutcomeUnknown, Refused
from service.models import Message, StatusEvent
from service.providers.base import Callback, Outbound
from service.recording import consume_inbox, record
from service.sending import deliver
from service.task_queue import queue
from tests.fakes import FakeProvider, said
from tests.messages import Post


@pytest.fixture
def sent(post: Post, provider: FakeProvider) -> tuple[UUID, UUID, str]:
    """A sent message: message id, attempt id, SID."""
    message_id = post()
    deliver.deliver()
    attempt = provider.on_air[-1].attempt_id
    return message_id, attempt, provider.sid(attempt)


def _message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def _callback(attempt: object, sid: str, word: str, **more: str) -> Callback:
    body = urlencode({"MessageSid": sid, "MessageStatus": word, **more}).encode()
    return Callback("twilio", str(attempt), body, datetime.now(UTC))


def test_late_queued_does_not_overwrite_delivered(
    sent: tuple[UUID, UUID, str],
) -> None:
    message_id, attempt, sid = sent
    for word in ("delivered", "queued", "sent"):
        record.record([said(word, attempt_id=attempt, sid=sid)])
    assert _message(message_id).status is Status.DELIVERED


@pytest.mark.parametrize("by_url", [True, False], ids=["by attempt", "by SID"])
def test_two_statuses_in_one_batch_are_both_recorded(
    sent: tuple[UUID, UUID, str], by_url: bool
) -> None:
    message_id, attempt, sid = sent
    in_url = attempt if by_url else ""
    words = ("delivered", "sent")
    consume_inbox.record_callbacks([_callback(in_url, sid, word) for word in words])
    assert _message(message_id).status is Status.DELIVERED
    recorded = set(db.session.scalars(select(StatusEvent.word)))
    assert recorded == {"queued", "sent", "delivered"}


def test_repeated_final_status_changes_nothing(sent: tuple[UUID, UUID, str]) -> None:
    message_id, attempt, sid = sent
    words = ("undelivered", "delivered", "undelivered", "delivered", "undelivered")
    for word in words:
        record.record([said(word, attempt_id=attempt, sid=sid)])
    assert _message(message_id).status is Status.DELIVERED


def test_process_killed_after_its_answer_loses_no_callback(
    context: Flask, sent: tuple[UUID, UUID, str], redis_url: str
) -> None:
    """The process stores a callback and is killed with SIGKILL."""
    message_id, attempt, sid = sent
    _run_and_kill(
        "inbox.put(callback)", redis_url, _callback(attempt, sid, "delivered").body, str(attempt)
    )
    consume_inbox.consume_inbox()
    assert _message(message_id).status is Status.DELIVERED


def test_worker_killed_with_a_batch_loses_no_callback(
    context: Flask,
    sent: tuple[UUID, UUID, str],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id, attempt, sid = sent
    _run_and_kill(
        "inbox.put(callback); inbox.take('x', 9, 0.01); assert inbox.take('x', 9, 0.01)",
        redis_url,
        _callback(attempt, sid, "delivered").body,
        str(attempt),
    )
    assert consume_inbox.consume_inbox() == 0, "the killed worker still holds it"
    monkeypatch.setattr(consume_inbox, "IDLE", 0.0)
    assert consume_inbox.consume_inbox() == 1
    assert _message(message_id).status is Status.DELIVERED


def _run_and_kill(code: str, redis_url: str, body: bytes, attempt: str) -> None:
    program = (
        "import os, signal; from datetime import UTC, datetime; from redis import Redis;"
        "from service.inbox.inbox import Inbox;"
        "from service.providers.base import Callback;"
        "from service.redis_client.fast_client import FastClient;"
        f"redis = Redis.from_url({redis_url!r}, protocol=2);"
        "inbox = Inbox(redis, FastClient(redis), 1000);"
        f"callback = Callback('twilio', {attempt!r}, {body!r}, datetime.now(UTC));"
        f"{code}; os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, cwd=os.curdir)
    assert killed.returncode == -signal.SIGKILL


def test_database_error_makes_no_dead_letter(
    sent: tuple[UUID, UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    _, attempt, sid = sent

    def down(_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(record, "record", down)
    with pytest.raises(OperationalError):
        consume_inbox.record_callbacks([_callback(attempt, sid, "delivered")])


def test_send_that_timed_out_is_not_repeated(post: Post, provider: FakeProvider) -> None:
    def accept_without_an_answer(outbound: Outbound) -> StatusReport:
        provider.take(outbound)
        raise OutcomeUnknown("no answer (ReadTimeout)")

    provider.script = accept_without_an_answer
    message_id = post()
    for _ in range(3):
        deliver.deliver()
    [outbound] = provider.on_air
    record.record([said("delivered", attempt_id=outbound.attempt_id, sid="SM1")])
    assert _message(message_id).status is Status.DELIVERED


def test_tasks_have_no_eta(context: Flask, redis_url: str) -> None:
    """An ETA beyond the visibility timeout runs twice; a prefetched task with an ETA is stuck."""
    components().queue.enqueue(queue.DELIVER)
    with Redis.from_url(redis_url) as redis:
        [task] = [json.loads(raw) for raw in redis.lrange(queue.SEND, 0, -1)]
    assert task["headers"]["eta"] is None
    assert task["headers"]["expires"] is None


def test_repeated_task_does_not_create_a_second_message(post: Post, provider: FakeProvider) -> None:
    """A task that assigned the id would assign another one when it runs again."""
    message_id = post()
    deliver.deliver()
    deliver.deliver()
    assert db.session.scalars(select(Message.id)).all() == [message_id]
    assert len(provider.on_air) == 1


def test_unknown_callback_fields_are_recorded(
    sent: tuple[UUID, UUID, str],
) -> None:
    message_id, attempt, sid = sent
    consume_inbox.record_callbacks([_callback(attempt, sid, "delivered", NewField="new value")])
    assert _message(message_id).status is Status.DELIVERED
    raw = db.session.scalars(select(StatusEvent.raw).where(StatusEvent.word == "delivered")).one()
    assert raw["NewField"] == "new value"


def test_failed_callback_leaves_the_batch_recorded_once(
    sent: tuple[UUID, UUID, str],
) -> None:
    message_id, attempt, sid = sent
    poison = Callback("twilio", "", b"poison", datetime.now(UTC))
    consume_inbox.record_callbacks([_callback(attempt, sid, "sent"), poison])
    assert _message(message_id).status is Status.SENT
    repeats = db.session.scalars(select(StatusEvent.repeats).where(StatusEvent.word == "sent"))
    assert list(repeats) == [0]


def test_delayed_task_does_not_send_twice(post: Post, provider: FakeProvider) -> None:
    """Beat takes the task for lost and enqueues another; both run."""
    post()
    with transaction():
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        db.session.execute(update(Message).values(due_at=long_ago))
    assert deliver.deliver() == 1
    assert deliver.deliver() == 0
    assert len(provider.on_air) == 1


def test_permanent_refusal_is_not_retried(post: Post, provider: FakeProvider) -> None:
    calls = []

    def refuse(outbound: Outbound) -> StatusReport:
        calls.append(outbound)
        raise Refused("not a valid phone number", "21211")

    provider.script = refuse
    message_id = post()
    for _ in range(3):
        deliver.deliver()
    assert len(calls) == 1
    assert _message(message_id).error_code == "21211"


def test_callback_with_an_unknown_sid_is_adopted_later(
    sent: tuple[UUID, UUID, str],
) -> None:
    """The callback is kept, and adopted when the SID becomes known."""
    _, _, sid = sent
    record.record([said("delivered", sid="SMunknown")])
    with transaction():
        db.session.execute(
            update(StatusEvent).where(StatusEvent.message_id.is_(None)).values(provider_sid=sid)
        )
    assert record.adopt_orphans() == 1
    assert _message(sent[0]).status is Status.DELIVERED
