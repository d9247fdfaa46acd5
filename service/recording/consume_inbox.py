"""Drain: take accepted callbacks out of the inbox, record them, and only then acknowledge."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from threading import BoundedSemaphore
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.components import components
from service.database import db, transaction
from service.database.errors import is_statement_timeout
from service.errors import InboxUnavailable
from service.inbox.stream import Entry
from service.models import DeadLetter, Overflow
from service.providers.base import Callback
from service.queries import callbacks
from service.recording.isolation import IDLE, Isolation, consumer, record_callbacks, set_aside
from service.task_queue.queue import DRAIN, HELPING

# The most that one transaction records. In a backlog so many hold several words about one message,
# whose row is then read and written once for all of them.
_BATCH: Final = 2_000
# What comes back, because whoever took it died, failed or kept it elsewhere, in smaller ones.
_AGAIN: Final = 500
# Rows that one transaction returns to the inbox: on SQLite nobody else writes meanwhile.
_CHUNK: Final = 100
# So many at once, and others are called to help.
_BACKLOG: Final = 500
# A smaller batch waits this long for company: what a batch costs is shared by more of them.
_LINGER: Final = 0.05
# A drain ends after this long and wakes the next, so that no shutdown meets a long task.
_LONGEST: Final = 3.0
_IDLE: Final = IDLE
# Whatever was taken this often and never finished may be what kills the worker that takes it.
_MOST_DELIVERIES: Final = 5
# Seconds without a read after which a consumer's process is taken to be gone.
_GONE_AFTER: Final = 86_400.0
# How many seconds to leave a database alone that does not answer.
_REST: Final = 1

# So many drains at once in a process: some read while the database works for the others. More only
# wait for each other's rows.
_at_work: Final = BoundedSemaphore(3)

_log = logging.getLogger(__name__)


def drain(role: str = "") -> int:
    """Record what is in the inbox until it is empty or time is up; return how many entries.

    One drain is at work at a time, and wakes its successor; a backlog calls others to help it.
    """
    if not _at_work.acquire(blocking=False):
        return 0
    try:
        return _drain(role)
    finally:
        _at_work.release()


def _drain(role: str) -> int:
    queue = components().queue
    if components().inbox.is_resting() or not _database_answers():
        queue.keep_awake(DRAIN, _REST)
        return 0
    until = time.monotonic() + _LONGEST
    if role == HELPING:
        return _work(until, _next_batch)[0]
    queue.keep_awake(DRAIN)
    done, empty = _work(until, _last_batch)
    if not empty:
        queue.keep_awake(DRAIN)
        queue.enqueue(DRAIN)
    return done


def _work(until: float, following: Callable[[str], list[Entry]]) -> tuple[int, bool]:
    """Record batches until time is up; return how many entries, and whether none are left."""
    inbox, done = components().inbox, 0
    while time.monotonic() < until:
        batch = inbox.reclaim(consumer(), _AGAIN, _IDLE) or following(consumer())
        if not batch:
            return done, True
        done += _record_batch(batch)
    return done, False


def _last_batch(consumer: str) -> list[Entry]:
    """Return what is next; where nothing is, whoever asks from now on must wake another drain."""
    batch = _next_batch(consumer)
    if batch:
        return batch
    components().queue.sleep(DRAIN)
    # What came between the look and the sleep woke nobody.
    return components().inbox.take(consumer, _BATCH, linger=0)


def _next_batch(consumer: str) -> list[Entry]:
    inbox = components().inbox
    batch = inbox.take(consumer, _BATCH, _LINGER)
    if not batch:
        return []
    if len(batch) >= _BACKLOG:
        components().queue.call_help(DRAIN)
        return batch
    time.sleep(_LINGER)
    return batch + inbox.take(consumer, _BATCH - len(batch), linger=0)


def remove_idle_consumers() -> None:
    """Take the names of processes that are gone out of the consumer group."""
    components().inbox.remove_consumers(idle=_GONE_AFTER)


def _database_answers() -> bool:
    """Ask before taking anything: what is taken in vain counts as a delivery."""
    try:
        db.session.execute(select(1))
        return True
    except SQLAlchemyError as error:
        _log.warning("the database does not answer (%s); the inbox waits", type(error).__name__)
        components().inbox.rest(_REST)
        return False
    finally:
        db.session.close()


def _record_batch(batch: Sequence[Entry]) -> int:
    """Record entries and acknowledge them; return how many are dealt with."""
    suspects = [entry for entry in batch if entry.deliveries > _MOST_DELIVERIES]
    for entry in suspects:
        _record_suspect(entry)
    components().inbox.ack(suspects)
    rest = [entry for entry in batch if entry.deliveries <= _MOST_DELIVERIES]
    return len(suspects) + Isolation(rest, components().inbox).record()


def _record_suspect(entry: Entry) -> None:
    """Record an entry that was often taken: alone, and not again if this process dies of it."""
    inbox = components().inbox
    if not inbox.mark_suspect(entry.id):
        why = f"taken {entry.deliveries} times, and whoever took it died"
        set_aside(entry.callback, why, why)
        return
    try:
        record_callbacks([entry.callback])
    except DBAPIError as error:
        if not is_statement_timeout(error):
            raise
        set_aside(entry.callback, repr(error), type(error).__name__)
    finally:
        inbox.clear_suspect(entry.id)


def replay_dead_letters(ids: Collection[int] | None) -> int:
    """Put dead letters back into the inbox, the oldest for None; return how many."""
    return _return_to_inbox(
        lambda limit: callbacks.dead_letters(limit, ids, lock=True),
        callbacks.delete_dead_letters,
        _AGAIN,
    )


def drain_overflow() -> int:
    """Return callbacks that were accepted while the inbox was away to it; return how many."""
    until, done, more = time.monotonic() + _LONGEST, 0, True
    while more and time.monotonic() < until and components().inbox.has_room():
        count = _return_to_inbox(callbacks.oldest_overflow, callbacks.delete_overflow, _CHUNK)
        done, more = done + count, count == _CHUNK
    return done


def _return_to_inbox(
    lock: Callable[[int], Sequence[Overflow | DeadLetter]],
    drop: Callable[[Sequence[int]], None],
    limit: int,
) -> int:
    """Put rows into the inbox, and delete those that are in. Raises InboxUnavailable.

    In one transaction, so that no other sweep reads them meanwhile. A put whose answer came too
    late, and a commit that fails, return some twice, which the ledger takes as repeats.
    """
    returned, failure = list[int](), None
    with transaction():
        for row in lock(limit):
            try:
                components().inbox.put(_callback(row))
            except InboxUnavailable as error:
                failure = error
                break
            returned.append(row.id)
        drop(returned)
    if returned:
        components().queue.enqueue(DRAIN)
    if failure is not None:
        raise failure
    return len(returned)


def _callback(kept: Overflow | DeadLetter) -> Callback:
    return Callback(kept.provider, kept.attempt, kept.body, kept.received_at)
