"""Drain: take accepted callbacks out of the inbox, record them, and only then acknowledge."""

import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Final

from sqlalchemy import select

from service import journal
from service.domain.report import StatusReport
from service.extensions import PASSING, db, parts, transaction
from service.flows import recording
from service.inbox import Entry
from service.metrics import counting
from service.models import DeadLetter, Overflow
from service.providers.contract import Callback
from service.queue import DRAIN, HELPING
from service.store import aside

# The most that one transaction records. In a backlog so many hold several words about one message,
# whose row is then read and written once for all of them.
_BATCH: Final = 2_000
# What comes back, because whoever took it died, failed or kept it elsewhere, in smaller ones.
_AGAIN: Final = 500
# So many at once, and others are called to help.
_BACKLOG: Final = 500
# A smaller batch waits this long for company: what a batch costs is shared by more of them.
_LINGER: Final = 0.05
# A drain ends after this long and wakes the next, so that no shutdown meets a long task.
_LONGEST: Final = 3.0
# Longer than a batch takes, and one of `_AGAIN` that is halved. Whoever held it is dead.
_IDLE: Final = 20.0
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
    queue = parts().queue
    if parts().inbox.is_resting() or not _database_answers():
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


def replay_dead_letters(ids: Collection[int] | None) -> int:
    """Put dead letters back into the inbox, the oldest for None; return how many."""
    with transaction():
        letters = aside.dead_letters(_AGAIN, ids)
    for letter in letters:
        parts().inbox.put(_callback(letter))
    with transaction():
        aside.drop_dead_letters([letter.id for letter in letters])
    parts().queue.enqueue(DRAIN)
    return len(letters)


def _work(until: float, following: Callable[[str], list[Entry]]) -> tuple[int, bool]:
    """Record batches until time is up; return how many entries, and whether none are left."""
    inbox, consumer, done = parts().inbox, consumer_name(), 0
    while time.monotonic() < until:
        batch = inbox.reclaim(consumer, _AGAIN, _IDLE) or following(consumer)
        if not batch:
            return done, True
        done += _record_batch(batch)
    return done, False


def _last_batch(consumer: str) -> list[Entry]:
    """Return what is next; where nothing is, whoever asks from now on must wake another drain."""
    batch = _next_batch(consumer)
    if batch:
        return batch
    parts().queue.sleep(DRAIN)
    # What came between the look and the sleep woke nobody.
    return parts().inbox.take(consumer, _BATCH, linger=0)


def _next_batch(consumer: str) -> list[Entry]:
    inbox = parts().inbox
    batch = inbox.take(consumer, _BATCH, _LINGER)
    if not batch:
        return []
    if len(batch) >= _BACKLOG:
        parts().queue.call_help(DRAIN)
        return batch
    time.sleep(_LINGER)
    return batch + inbox.take(consumer, _BATCH - len(batch), linger=0)


def drain_overflow(limit: int = _AGAIN) -> int:
    """Return callbacks that were accepted while the inbox was away to it; return how many.

    Dying between the two steps returns some twice, which the ledger takes as repeats.
    """
    if not parts().inbox.has_room():
        return 0
    with transaction():
        rows = aside.oldest_overflow(limit)
    for row in rows:
        parts().inbox.put(_callback(row))
    with transaction():
        aside.drop_overflow([row.id for row in rows])
    if rows:
        parts().queue.enqueue(DRAIN)
    return len(rows)


def remove_idle_consumers() -> None:
    """Take the names of processes that are gone out of the consumer group."""
    parts().inbox.remove_consumers(idle=_GONE_AFTER)


def _database_answers() -> bool:
    """Ask before taking anything: what is taken in vain counts as a delivery."""
    try:
        db.session.execute(select(1))
        return True
    except PASSING as error:
        _log.warning("the database does not answer (%s); the inbox waits", type(error).__name__)
        parts().inbox.rest(_REST)
        return False
    finally:
        db.session.close()


def _record_batch(batch: Sequence[Entry]) -> int:
    for entry in batch:
        if entry.deliveries > _MOST_DELIVERIES:
            _record_suspect(entry)
    rest = [entry.callback for entry in batch if entry.deliveries <= _MOST_DELIVERIES]
    try:
        if rest:
            record_callbacks(rest)
    except PASSING:
        # Whoever takes next begins with these.
        parts().inbox.give_back(consumer_name(), batch, _IDLE)
        raise
    except Exception:
        if len(rest) <= _AGAIN:
            raise
        # To look for the one that is to blame must take no longer than `_IDLE`.
        parts().inbox.give_back(consumer_name(), batch, _IDLE)
        return 0
    parts().inbox.ack(batch)
    return len(batch)


def _record_suspect(entry: Entry) -> None:
    """Record an entry that was often taken: alone, and not again if this process dies of it."""
    inbox = parts().inbox
    if not inbox.mark_suspect(entry.id):
        why = f"taken {entry.deliveries} times, and whoever took it died"
        _set_aside(entry.callback, why, why)
        return
    try:
        record_callbacks([entry.callback])
    finally:
        inbox.clear_suspect(entry.id)


def record_callbacks(callbacks: Sequence[Callback]) -> None:
    """Record callbacks; halve a batch that fails until the one that cannot be is set aside.

    Of more than `_AGAIN` it raises what kept them from being recorded.
    """
    try:
        tally = recording.record(_parsed(callbacks))
    except PASSING:
        raise
    except Exception as error:
        if len(callbacks) > _AGAIN:
            raise
        if len(callbacks) == 1:
            _set_aside(callbacks[0], repr(error), type(error).__name__)
            return
        middle = len(callbacks) // 2
        record_callbacks(callbacks[:middle])
        record_callbacks(callbacks[middle:])
    else:
        counting.recorded(tally.kinds, [callback.received_at for callback in callbacks])
        journal.recorded(callbacks, tally)


def _callback(kept: Overflow | DeadLetter) -> Callback:
    return Callback(kept.provider, kept.attempt, kept.body, kept.received_at)


def _parsed(callbacks: Iterable[Callback]) -> list[StatusReport]:
    known = parts().providers
    return [known[callback.provider].parse(callback) for callback in callbacks]


def _set_aside(callback: Callback, error: str, reason: str) -> None:
    """Keep a callback among the dead letters; `reason` quotes nothing and may be logged."""
    with transaction():
        aside.add_dead_letter(callback, error[:2000], datetime.now(UTC))
    counting.set_aside(callback.provider)
    journal.set_aside(callback, reason)


def consumer_name() -> str:
    """Return this process's name in the consumer group."""
    return f"{socket.gethostname()}-{os.getpid()}"
