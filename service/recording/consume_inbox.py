"""Consumes the inbox: takes callbacks out in batches, records them, and then acknowledges them."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.components import components
from service.database import db
from service.database.errors import is_statement_timeout
from service.inbox.stream import Entry
from service.recording.isolation import IDLE, Isolation, consumer, dead_letter, record_callbacks
from service.task_queue.queue import CONSUME_INBOX

# Entries of one transaction. In a backlog several are often about one message, whose row is then
# read and written once for all of them.
_BATCH: Final = 2_000
# Entries that another consumer took and did not finish are recorded in smaller batches.
_RECLAIMED_BATCH: Final = 500
# A batch of this size is a backlog: other processes are asked to consume, too.
_BACKLOG: Final = 500
# Seconds for which a smaller batch waits for more entries, which then share its costs.
_LINGER: Final = 0.05
# An entry that was delivered more often than this may be what kills its consumers.
_MAX_DELIVERIES: Final = 5
# Seconds without a read after which the process of a consumer is considered dead.
_DEAD_AFTER: Final = 86_400.0
# Seconds for which the inbox is paused while the database does not answer.
_PAUSE: Final = 1

_log = logging.getLogger(__name__)


def consume_inbox() -> int:
    """Record entries until the inbox is empty or time is up; return how many."""
    counts = list[int]()

    def record_next() -> bool:
        # Once a run, and not in a task that finds all threads running.
        if not counts and (components().inbox.is_paused() or not _database_answers()):
            return False
        batch = _next_batch()
        counts.append(_record_batch(batch) if batch else 0)
        return bool(batch)

    components().queue.run_once(CONSUME_INBOX, record_next)
    return sum(counts)


def remove_dead_consumers() -> None:
    """Remove consumers of processes that are gone from the consumer group."""
    components().inbox.remove_consumers(idle=_DEAD_AFTER)


def _next_batch() -> list[Entry]:
    inbox, name = components().inbox, consumer()
    reclaimed = inbox.reclaim(name, _RECLAIMED_BATCH, IDLE)
    if reclaimed:
        return reclaimed
    batch = inbox.take(name, _BATCH, _LINGER)
    if not batch:
        return []
    if len(batch) >= _BACKLOG:
        components().queue.request(CONSUME_INBOX)
        return batch
    time.sleep(_LINGER)
    return batch + inbox.take(name, _BATCH - len(batch), linger=0)


def _database_answers() -> bool:
    """Check the database before taking entries: each read of an entry counts as a delivery."""
    try:
        db.session.execute(select(1))
        return True
    except SQLAlchemyError as error:
        reason = type(error).__name__
        _log.warning("database unavailable (%s); inbox paused for %d s", reason, _PAUSE)
        components().inbox.pause(_PAUSE)
        return False
    finally:
        db.session.close()


def _record_batch(batch: Sequence[Entry]) -> int:
    """Record entries and acknowledge them; return how many are done."""
    suspects = [entry for entry in batch if entry.deliveries > _MAX_DELIVERIES]
    for entry in suspects:
        _record_suspect(entry)
    if suspects:
        components().inbox.ack(suspects)
    others = [entry for entry in batch if entry.deliveries <= _MAX_DELIVERIES]
    return len(suspects) + Isolation(others, components().inbox).record()


def _record_suspect(entry: Entry) -> None:
    """Record an entry alone. If that kills the process, the entry becomes a dead letter."""
    inbox = components().inbox
    if not inbox.mark_suspect(entry.id):
        reason = f"delivered {entry.deliveries} times; its consumers died"
        dead_letter(entry.callback, reason, reason)
        return
    try:
        record_callbacks([entry.callback])
    except DBAPIError as error:
        if not is_statement_timeout(error):
            raise
        dead_letter(entry.callback, repr(error), type(error).__name__)
    finally:
        inbox.clear_suspect(entry.id)
