"""Records entries of the inbox together, and isolates one that cannot be recorded."""

import os
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from service.components import components
from service.database import transaction
from service.database.errors import is_statement_timeout, is_transient
from service.inbox.stream import Entry, Inbox
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Callback
from service.queries.callbacks import add_dead_letter
from service.recording import record
from service.recording.answers import ANSWER, unpacked
from service.recording.effects import RecordedBatch
from service.recording.record_answers import record_answers

# Seconds after which another worker reclaims an entry: longer than a batch takes.
IDLE: Final = 20.0
# Seconds between two renewals of the entries that wait while others are recorded.
_RENEW: Final = 5.0


def record_callbacks(callbacks: Sequence[Callback]) -> None:
    """Record callbacks, or store dead letters. Raises passing errors."""
    Isolation([Entry("", callback) for callback in callbacks]).record()


class Isolation:
    """Records entries together; if that fails, in halves, until the failing entry is alone.

    A passing error, such as a lost connection, ends the work and gives the other entries back. A
    statement that times out is tried with fewer entries. An entry that times out alone may meet a
    slow database: it stays in the inbox, and becomes a dead letter after its last delivery.
    """

    def __init__(self, entries: Sequence[Entry], inbox: Inbox | None = None) -> None:
        """Take entries of an inbox, or callbacks that are in no inbox."""
        self._pieces = [entries] if entries else []  # in pieces; the last is recorded next
        self._inbox = inbox
        self._done = 0
        self._slow = 0
        self._renew_at = time.monotonic() + _RENEW

    def record(self) -> int:
        """Record the entries; return how many are done. Raises passing errors."""
        while self._pieces:
            piece = self._pieces[-1]
            try:
                _record_together([entry.callback for entry in piece])
            except Exception as error:
                self._failed(piece, error)
            else:
                self._pieces.pop()
                self._finish(piece)
        return self._done

    def _failed(self, piece: Sequence[Entry], error: Exception) -> None:
        timed_out = is_statement_timeout(error)
        if is_transient(error) or (len(piece) == 1 and timed_out and self._is_stuck()):
            self._give_back(IDLE)  # the next consumer begins with these
            raise error
        self._pieces.pop()
        if len(piece) > 1:
            middle = len(piece) // 2
            self._pieces += [piece[middle:], piece[:middle]]
            self._renew()
        elif not timed_out:
            dead_letter(piece[0].callback, repr(error), type(error).__name__)
            self._finish(piece)

    def _is_stuck(self) -> bool:
        """Tell whether to stop: a second slow entry means that the database is slow."""
        self._slow += 1
        return self._inbox is None or self._slow > 1

    def _finish(self, piece: Sequence[Entry]) -> None:
        self._done += len(piece)
        if self._inbox is not None:
            self._inbox.ack(piece)

    def _renew(self) -> None:
        """Keep the other entries: after `IDLE` seconds another worker would reclaim them."""
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + _RENEW
            self._give_back(0)

    def _give_back(self, idle: float) -> None:
        entries = [entry for piece in self._pieces for entry in piece]
        if self._inbox is not None and entries:
            self._inbox.release(consumer(), entries, idle)


def _record_together(callbacks: Sequence[Callback]) -> None:
    """Record callbacks in one transaction, and answers of providers in another."""
    answers = [unpacked(entry) for entry in callbacks if entry.provider == ANSWER]
    reported = [callback for callback in callbacks if callback.provider != ANSWER]
    if answers:
        record_answers(answers)
    if reported:
        providers = components().providers
        batch = record.record(
            [providers[callback.provider].parse(callback) for callback in reported]
        )
        _report(batch, [callback.received_at for callback in reported])


def _report(batch: RecordedBatch, arrivals: Sequence[datetime]) -> None:
    counting.recorded(batch.counts, arrivals)
    pairs = zip(batch.entries, arrivals, strict=True)
    events.recorded(
        [(owner.message_id, owner.id, arrived_at) for (_, _, owner), arrived_at in pairs if owner],
        callbacks=len(arrivals),
        repeats=batch.repeats,
        orphans=batch.orphans,
        conflicts=batch.conflicts,
    )


def dead_letter(callback: Callback, error: str, reason: str) -> None:
    """Store a dead letter; `reason` quotes nothing of the callback and is logged."""
    with transaction():
        add_dead_letter(callback, error[:2000], datetime.now(UTC))
    counting.dead_lettered(callback.provider)
    events.dead_lettered(callback.provider, callback.attempt, reason)


def consumer() -> str:
    """Return the name of this process in the consumer group."""
    return f"{socket.gethostname()}-{os.getpid()}"
