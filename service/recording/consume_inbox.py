"""Consumes the inbox: takes callbacks out in batches, records them, and then acknowledges them."""

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.components import components
from service.database import db
from service.database.errors import is_statement_timeout
from service.domain.report import StatusReport
from service.inbound import record as inbound
from service.inbox.entry import Entry
from service.inbox.inbox import Inbox
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Callback, Inbound
from service.recording import record
from service.recording.answers import ANSWER, unpacked
from service.recording.effects import Effect, RecordedBatch
from service.recording.isolation import IDLE, Isolation, dead_letter
from service.recording.record_answers import record_answers
from service.task_queue.queue import CONSUME_INBOX

# Entries of one transaction. In a backlog several are often about one message, whose row is then
# read and written once for all of them.
_BATCH: Final = 2_000
# A batch of this size is a backlog: other processes are asked to consume, too.
_BACKLOG: Final = 500
# An entry that was delivered more often than this may be what kills its consumers.
_MAX_DELIVERIES: Final = 5
# Seconds without a read after which the process of a consumer is considered dead.
_DEAD_AFTER: Final = 86_400.0
# Seconds for which the inbox is paused while the database does not answer.
_PAUSE: Final = 1

_log = logging.getLogger(__name__)


def consume_inbox() -> int:
    """Record entries until the inbox is empty or time is up; return how many."""
    bound, counts = components(), list[int]()

    def record_next() -> bool:
        # Once a run, and not in a task that finds all threads running.
        if not counts and (bound.inbox.is_paused() or not _database_answers(bound.inbox)):
            return False
        batch = bound.inbox.next_batch(_BATCH, IDLE)
        if len(batch) >= _BACKLOG:
            bound.queue.request(CONSUME_INBOX)
        counts.append(_record_batch(batch, bound.inbox) if batch else 0)
        return bool(batch)

    bound.queue.run_once(CONSUME_INBOX, record_next)
    return sum(counts)


def record_callbacks(callbacks: Sequence[Callback]) -> None:
    """Record callbacks, or store dead letters. Raises passing errors."""
    _record_or_isolate([Entry("", callback) for callback in callbacks])


def remove_dead_consumers() -> None:
    """Remove consumers of processes that are gone from the consumer group."""
    components().inbox.remove_consumers(idle=_DEAD_AFTER)


def _database_answers(inbox: Inbox) -> bool:
    """Check the database before taking entries: each read of an entry counts as a delivery."""
    try:
        db.session.execute(select(1))
        return True
    except SQLAlchemyError as error:
        reason = type(error).__name__
        _log.warning("database unavailable (%s); inbox paused for %d s", reason, _PAUSE)
        inbox.pause(_PAUSE)
        return False
    finally:
        db.session.close()


def _record_batch(batch: Sequence[Entry], inbox: Inbox) -> int:
    """Record entries and acknowledge them; return how many are done."""
    suspects = [entry for entry in batch if entry.deliveries > _MAX_DELIVERIES]
    for entry in suspects:
        _record_suspect(entry, inbox)
    if suspects:
        inbox.ack(suspects)
    others = [entry for entry in batch if entry.deliveries <= _MAX_DELIVERIES]
    return len(suspects) + _record_or_isolate(others, inbox)


def _record_suspect(entry: Entry, inbox: Inbox) -> None:
    """Record an entry alone. If that kills the process, the entry becomes a dead letter."""
    if not inbox.mark_suspect(entry):
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
        inbox.clear_suspect(entry)


def _record_or_isolate(entries: Sequence[Entry], inbox: Inbox | None = None) -> int:
    """Record entries together, or without those that cannot be recorded; return how many."""
    try:
        _record_together(entries)
    except Exception as error:
        return Isolation(_record_together, entries, inbox).after(error)
    if inbox is not None:
        inbox.ack(entries)
    return len(entries)


def _record_together(entries: Sequence[Entry]) -> None:
    """Record answers of providers, callbacks, and inbound messages: one transaction for each."""
    answers = [unpacked(entry.callback) for entry in entries if entry.callback.provider == ANSWER]
    callbacks = [entry.callback for entry in entries if entry.callback.provider != ANSWER]
    if answers:
        record_answers(answers)
    if callbacks:
        providers = components().providers
        parsed = [providers[callback.provider].parse(callback) for callback in callbacks]
        reports = [each for each in parsed if isinstance(each, StatusReport)]
        received = [each for each in parsed if isinstance(each, Inbound)]
        if reports:
            _report(record.record(reports))
        if received:
            inbound.record(received)


def _report(batch: RecordedBatch) -> None:
    arrivals = [report.received_at for _, report, _ in batch.entries]
    counting.recorded(batch.counts, arrivals)
    pairs = zip(batch.entries, arrivals, strict=True)
    events.recorded(
        [(owner.message_id, owner.id, arrived_at) for (_, _, owner), arrived_at in pairs if owner],
        callbacks=len(arrivals),
        repeats=batch.effects.count(Effect.REPEAT),
        orphans=sum(owner is None for _, _, owner in batch.entries),
        conflicts=batch.conflicts,
    )
