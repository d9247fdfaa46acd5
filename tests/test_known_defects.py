"""Defects seen in comparable systems, each as a test that would catch it here.

Every test names the defect; what Waybill promises instead is in docs/dataflow.md.
"""

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
    """A message with its provider: its id, its attempt's id, its SID."""
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


def test_a_late_queued_does_not_pull_a_delivered_message_back(
    sent: tuple[UUID, UUID, str],
) -> None:
    message_id, attempt, sid = sent
    for word in ("delivered", "queued", "sent"):
        record.record([said(word, attempt_id=attempt, sid=sid)])
    assert _message(message_id).status is Status.DELIVERED


@pytest.mark.parametrize("by_url", [True, False], ids=["by attempt", "by SID"])
def test_two_statuses_of_one_message_in_one_batch_are_both_recorded(
    sent: tuple[UUID, UUID, str], by_url: bool
) -> None:
    """Not one at random, and not only the last."""
    message_id, attempt, sid = sent
    place = attempt if by_url else ""
    consume_inbox.record_callbacks([_callback(place, sid, word) for word in ("delivered", "sent")])
    assert _message(message_id).status is Status.DELIVERED
    words = set(db.session.scalars(select(StatusEvent.word)))
    assert words == {"queued", "sent", "delivered"}


def test_a_repeat_of_an_old_final_status_flips_nothing(sent: tuple[UUID, UUID, str]) -> None:
    message_id, attempt, sid = sent
    words = ("undelivered", "delivered", "undelivered", "delivered", "undelivered")
    for word in words:
        record.record([said(word, attempt_id=attempt, sid=sid)])
    assert _message(message_id).status is Status.DELIVERED


def test_a_process_killed_after_its_answer_loses_no_callback(
    context: Flask, sent: tuple[UUID, UUID, str], redis_url: str
) -> None:
    """Accept, answer, die by SIGKILL: the callback is in Redis, not in memory."""
    message_id, attempt, sid = sent
    _die_after(
        "inbox.put(callback)", redis_url, _callback(attempt, sid, "delivered").body, str(attempt)
    )
    consume_inbox.consume_inbox()
    assert _message(message_id).status is Status.DELIVERED


def test_a_worker_killed_with_a_batch_in_its_hands_loses_none_of_it(
    context: Flask,
    sent: tuple[UUID, UUID, str],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id, attempt, sid = sent
    _die_after(
        "inbox.put(callback); inbox.take('x', 9, 0.01); assert inbox.take('x', 9, 0.01)",
        redis_url,
        _callback(attempt, sid, "delivered").body,
        str(attempt),
    )
    assert consume_inbox.consume_inbox() == 0, "it still belongs to the dead"
    monkeypatch.setattr(consume_inbox, "_IDLE", 0.0)
    assert consume_inbox.consume_inbox() == 1
    assert _message(message_id).status is Status.DELIVERED


def _die_after(deed: str, redis_url: str, body: bytes, attempt: str) -> None:
    program = (
        "import os, signal; from datetime import UTC, datetime; from redis import Redis;"
        "from service.coordination.circuit_breaker import Breaker;"
        "from service.inbox.stream import Inbox;"
        "from service.providers.base import Callback;"
        f"redis = Redis.from_url({redis_url!r}, protocol=2);"
        "inbox = Inbox(redis, redis, Breaker(), 1000);"
        f"callback = Callback('twilio', {attempt!r}, {body!r}, datetime.now(UTC));"
        f"{deed}; os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, cwd=os.curdir)
    assert died.returncode == -signal.SIGKILL


def test_a_database_error_is_not_taken_for_a_bad_callback(
    sent: tuple[UUID, UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    _, attempt, sid = sent

    def down(_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(record, "record", down)
    with pytest.raises(OperationalError):
        consume_inbox.record_callbacks([_callback(attempt, sid, "delivered")])


def test_a_send_that_timed_out_is_not_sent_again_and_a_callback_proves_it(
    post: Post, provider: FakeProvider
) -> None:
    def taken_without_an_answer(outbound: Outbound) -> StatusReport:
        provider.take(outbound)
        raise OutcomeUnknown("no answer (ReadTimeout)")

    provider.script = taken_without_an_answer
    message_id = post()
    for _ in range(3):
        deliver.deliver()
    [outbound] = provider.on_air
    record.record([said("delivered", attempt_id=outbound.attempt_id, sid="SM1")])
    assert _message(message_id).status is Status.DELIVERED


def test_no_task_waits_in_the_broker_for_its_time(context: Flask, redis_url: str) -> None:
    """An ETA beyond the visibility timeout is delivered twice; a prefetched one is stuck."""
    components().queue.enqueue(queue.DELIVER)
    with Redis.from_url(redis_url) as redis:
        [task] = [json.loads(raw) for raw in redis.lrange(queue.SEND, 0, -1)]
    assert task["headers"]["eta"] is None
    assert task["headers"]["expires"] is None


def test_a_message_has_its_id_before_any_task_knows_of_it(
    post: Post, provider: FakeProvider
) -> None:
    """A task that assigns the id assigns another when it is repeated."""
    message_id = post()
    deliver.deliver()
    deliver.deliver()
    assert db.session.scalars(select(Message.id)).all() == [message_id]
    assert len(provider.on_air) == 1


def test_a_callback_with_unknown_fields_is_recorded_with_them(
    sent: tuple[UUID, UUID, str],
) -> None:
    message_id, attempt, sid = sent
    consume_inbox.record_callbacks([_callback(attempt, sid, "delivered", NewField="of tomorrow")])
    assert _message(message_id).status is Status.DELIVERED
    raw = db.session.scalars(select(StatusEvent.raw).where(StatusEvent.word == "delivered")).one()
    assert raw["NewField"] == "of tomorrow"


def test_a_part_of_a_batch_that_fails_leaves_the_rest_recorded_once(
    sent: tuple[UUID, UUID, str],
) -> None:
    message_id, attempt, sid = sent
    poison = Callback("twilio", "", b"poison", datetime.now(UTC))
    consume_inbox.record_callbacks([_callback(attempt, sid, "sent"), poison])
    assert _message(message_id).status is Status.SENT
    repeats = db.session.scalars(select(StatusEvent.repeats).where(StatusEvent.word == "sent"))
    assert list(repeats) == [0]


def test_a_task_that_was_merely_queued_too_long_is_not_sent_twice(
    post: Post, provider: FakeProvider
) -> None:
    """The clock takes it for lost and wakes another; both come."""
    post()
    with transaction():
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        db.session.execute(update(Message).values(due_at=long_ago))
    assert deliver.deliver() == 1
    assert deliver.deliver() == 0
    assert len(provider.on_air) == 1


def test_a_permanent_refusal_is_not_tried_for_days(post: Post, provider: FakeProvider) -> None:
    asked = []

    def refuse(outbound: Outbound) -> StatusReport:
        asked.append(outbound)
        raise Refused("not a valid phone number", "21211")

    provider.script = refuse
    message_id = post()
    for _ in range(3):
        deliver.deliver()
    assert len(asked) == 1
    assert _message(message_id).error_code == "21211"


def test_a_callback_that_outruns_our_knowledge_of_its_sid_is_neither_dropped_nor_retried(
    sent: tuple[UUID, UUID, str],
) -> None:
    """No delay, no window counted in retries: it is kept, and adopted when the SID is known."""
    _, _, sid = sent
    record.record([said("delivered", sid="SMunknown")])
    with transaction():
        db.session.execute(
            update(StatusEvent).where(StatusEvent.message_id.is_(None)).values(provider_sid=sid)
        )
    assert record.adopt_orphans() == 1
    assert _message(sent[0]).status is Status.DELIVERED
