"""Consuming the inbox: nothing accepted is lost, and a bad entry does not block others."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from itertools import count
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from service.components import components
from service.database import db, transaction
from service.domain.status import Status
from service.errors import InboxUnavailable
from service.inbox import inbox as inbox_module
from service.inbox.inbox import Inbox
from service.models import DeadLetter, Message, Overflow, StatusEvent
from service.providers.base import Callback
from service.queries import callbacks as aside
from service.queries import ledger
from service.recording import consume_inbox, record, return_to_inbox
from service.sending import deliver
from service.task_queue import queue
from service.task_queue.queue import CONSUME_INBOX
from tests.fakes import FakeProvider
from tests.messages import Post


def callback(attempt: object, word: str, sid: str = "SM1") -> Callback:
    body = urlencode({"MessageSid": sid, "MessageStatus": word}).encode()
    return Callback("twilio", str(attempt), body, datetime.now(UTC))


POISON = Callback("twilio", "", b"poison", datetime.now(UTC))


def _sent(post: Post, provider: FakeProvider) -> object:
    post()
    deliver.deliver()
    return provider.on_air[-1].attempt_id


def _status() -> Status:
    db.session.rollback()
    return db.session.scalars(select(Message.status)).one()


def test_callbacks_in_the_inbox_are_recorded_and_removed(
    post: Post, provider: FakeProvider
) -> None:
    attempt, inbox = _sent(post, provider), components().inbox
    for word in ("delivered", "sent", "sent"):
        inbox.put(callback(attempt, word))
    assert consume_inbox.consume_inbox() == 3
    assert inbox.lag() == 0
    assert _status() is Status.DELIVERED


def test_two_callbacks_of_one_message_are_recorded(post: Post, provider: FakeProvider) -> None:
    attempt = _sent(post, provider)
    callbacks = [callback(attempt, word) for word in ("queued", "delivered", "queued")]
    consume_inbox.record_callbacks(callbacks)
    assert _status() is Status.DELIVERED
    words = db.session.scalars(select(StatusEvent.word).order_by(StatusEvent.word)).all()
    assert words == ["delivered", "queued", "queued"]  # one of them the answer to the send


def test_message_is_written_once_per_batch(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, inbox = _sent(post, provider), _sent(post, provider), components().inbox
    for word in ("queued", "sending", "sent", "delivered"):
        inbox.put(callback(first, word, "SM1"))
        inbox.put(callback(second, word, "SM2"))
    written: list[int] = []
    write = ledger.write_outcomes

    def counted(outcomes: Sequence[Mapping[str, Any]]) -> None:
        written.append(len(outcomes))
        write(outcomes)

    monkeypatch.setattr(ledger, "write_outcomes", counted)
    assert consume_inbox.consume_inbox() == 8
    assert written == [2]


def test_task_without_a_free_thread_asks_no_store(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog brings 20 of these tasks a second."""
    checks = list[str]()
    monkeypatch.setattr(consume_inbox, "_database_answers", lambda _: checks.append("database"))
    monkeypatch.setattr(Inbox, "is_paused", lambda _: checks.append("Redis"))
    run = components().queue._runs[CONSUME_INBOX]
    with ExitStack() as running:
        while run._running.acquire(blocking=False):
            running.callback(run._running.release)
        assert consume_inbox.consume_inbox() == 0
        assert checks == []
    consume_inbox.consume_inbox()
    assert set(checks) == {"Redis", "database"}


@pytest.mark.parametrize(("waiting", "called"), [(499, []), (500, [CONSUME_INBOX])])
def test_only_a_backlog_wakes_more_workers(
    context: Flask, monkeypatch: pytest.MonkeyPatch, waiting: int, called: list[str]
) -> None:
    helpers: list[str] = []
    monkeypatch.setattr(type(components().queue), "request", lambda _, task: helpers.append(task))
    for number in range(waiting):
        components().inbox.put(callback("", "delivered", f"SM{number}"))
    assert consume_inbox.consume_inbox() == waiting
    assert helpers == called


@pytest.mark.parametrize("again", [500, 2])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_poison_entry_is_a_dead_letter_and_others_recorded(
    post: Post,
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    place: int,
    again: int,
) -> None:
    """A batch larger than `again` is first retried in smaller batches."""
    monkeypatch.setattr(inbox_module, "_RECLAIMED_BATCH", again)
    attempt, inbox = _sent(post, provider), components().inbox
    batch = [callback(attempt, word) for word in ("sending", "sent", "delivered") * 2]
    for entry in [*batch[:place], POISON, *batch[place:]]:
        inbox.put(entry)
    consume_inbox.consume_inbox()
    assert inbox.lag() == 0
    assert _status() is Status.DELIVERED
    [letter] = db.session.scalars(select(DeadLetter)).all()
    assert letter.body == b"poison"
    assert "ZeroDivisionError" in letter.error


def test_failed_database_leaves_the_batch_in_the_inbox(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, inbox = _sent(post, provider), components().inbox
    inbox.put(callback(attempt, "delivered"))

    def down(_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the database is down"))

    with monkeypatch.context() as patched:
        patched.setattr(record, "record", down)
        with pytest.raises(OperationalError):
            consume_inbox.consume_inbox()
    assert inbox.lag() == 1
    assert db.session.scalar(select(func.count()).select_from(DeadLetter)) == 0

    consume_inbox.consume_inbox()  # the next one, at once
    assert inbox.lag() == 0
    assert _status() is Status.DELIVERED


def test_batch_recorded_twice_changes_nothing(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, inbox = _sent(post, provider), components().inbox
    inbox.put(callback(attempt, "delivered"))
    [entry] = inbox.take("dying", 10, linger=0.01) or inbox.take("dying", 10, linger=0.01)
    consume_inbox.record_callbacks([entry.callback])  # and dies before it acknowledges
    monkeypatch.setattr(consume_inbox, "IDLE", 0.0)
    assert consume_inbox.consume_inbox() == 1
    assert _status() is Status.DELIVERED
    events = db.session.scalars(select(StatusEvent).where(StatusEvent.word == "delivered")).all()
    assert [event.repeats for event in events] == [1]


def _wear_out(attempt: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a callback that many workers have taken and not finished."""
    monkeypatch.setattr(consume_inbox, "IDLE", 0.0)
    components().inbox.put(callback(attempt, "delivered"))
    while not components().inbox.take("dying", 10, linger=0.01):
        pass
    for _ in range(consume_inbox._MAX_DELIVERIES):
        components().inbox.reclaim("dying", 10, idle=0)


def test_entry_taken_many_times_is_recorded(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long outage must not make dead letters."""
    _wear_out(_sent(post, provider), monkeypatch)
    consume_inbox.consume_inbox()
    assert _status() is Status.DELIVERED
    assert db.session.scalar(select(func.count()).select_from(DeadLetter)) == 0


def test_entry_that_killed_a_worker_is_a_dead_letter(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wear_out(_sent(post, provider), monkeypatch)
    [entry] = components().inbox.reclaim("dying", 10, idle=0)
    components().inbox.mark_suspect(entry)  # and then it dies
    consume_inbox.consume_inbox()
    [letter] = db.session.scalars(select(DeadLetter)).all()
    assert "died" in letter.error
    assert components().inbox.lag() == 0


def test_overflow_returns_to_the_inbox_and_is_recorded(post: Post, provider: FakeProvider) -> None:
    attempt = _sent(post, provider)
    with transaction():
        aside.add_overflow(callback(attempt, "delivered"))
    assert return_to_inbox.drain_overflow() == 1
    assert return_to_inbox.drain_overflow() == 0
    consume_inbox.consume_inbox()
    assert _status() is Status.DELIVERED


def test_overflow_stays_while_the_inbox_is_unavailable(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        aside.add_overflow(callback("", "delivered"))

    def away(*_: object) -> bool:
        raise InboxUnavailable("ConnectionError")

    monkeypatch.setattr(type(components().inbox), "put", away)
    with pytest.raises(InboxUnavailable):
        return_to_inbox.drain_overflow()
    assert db.session.scalar(select(func.count()).select_from(Overflow)) == 1


def _fill_overflow(count: int) -> None:
    with transaction():
        for number in range(count):
            aside.add_overflow(callback("", "delivered", f"SM{number}"))


def _in_overflow() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Overflow)) or 0


def test_returned_overflow_is_deleted_when_a_later_put_fails(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every 150th put times out although Redis has stored the callback."""
    _fill_overflow(500)
    puts, put = count(1), type(components().inbox).put

    def put_late(inbox: Inbox, entry: Callback) -> None:
        put(inbox, entry)
        if next(puts) % 150 == 0:
            raise InboxUnavailable("TimeoutError")

    monkeypatch.setattr(type(components().inbox), "put", put_late)
    sweeps = 0
    while left := _in_overflow():
        with suppress(InboxUnavailable):
            return_to_inbox.drain_overflow()
        sweeps += 1
        assert _in_overflow() < left, "each sweep leaves fewer"
    assert sweeps == 4
    assert components().inbox.lag() == 503, "one copy for each late answer"


def test_concurrent_sweeps_return_each_callback_once(context: Flask) -> None:
    _fill_overflow(400)
    start = Barrier(4)

    def sweep(_: int) -> int:
        with context.app_context():
            start.wait()
            return return_to_inbox.drain_overflow()

    with ThreadPoolExecutor(4) as pool:
        while _in_overflow():
            list(pool.map(sweep, range(4)))
    assert components().inbox.lag() == 400


def test_replayed_dead_letters_are_deleted_if_a_put_fails(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        for number in range(10):
            entry = callback("", "delivered", f"SM{number}")
            aside.add_dead_letter(entry, "poison", datetime.now(UTC))
    puts, put = count(1), type(components().inbox).put

    def put_some(inbox: Inbox, entry: Callback) -> None:
        if next(puts) > 4:
            raise InboxUnavailable("TimeoutError")
        put(inbox, entry)

    with monkeypatch.context() as patched:
        patched.setattr(type(components().inbox), "put", put_some)
        with pytest.raises(InboxUnavailable):
            return_to_inbox.replay_dead_letters(None)
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(DeadLetter)) == 6
    assert components().inbox.lag() == 4


def test_drain_over_its_time_limit_enqueues_the_next(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    components().inbox.put(callback("", "delivered"))
    woken: list[str] = []
    monkeypatch.setattr(queue, "_RUN_SECONDS", 0.0)
    monkeypatch.setattr(type(components().queue), "request", lambda _, task: woken.append(task))
    assert consume_inbox.consume_inbox() == 1
    assert woken == [CONSUME_INBOX]
