"""Isolates an entry of the inbox that cannot be recorded, after a batch has failed."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from service.database import transaction
from service.database.errors import is_statement_timeout, is_transient
from service.inbox.entry import Entry
from service.inbox.inbox import Inbox
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Callback
from service.queries.callbacks import add_dead_letter

# Seconds after which another worker reclaims an entry: longer than a batch takes.
IDLE: Final = 20.0
# Seconds between two renewals of the entries that wait while others are recorded.
_RENEW: Final = 5.0


class Isolation:
    """Records the entries of a failed batch in halves, until the failing entry is alone.

    A passing error, such as a lost connection, ends the work and gives the other entries back. A
    statement that times out is tried with fewer entries. An entry that times out alone may meet a
    slow database: it stays in the inbox, and becomes a dead letter after its last delivery.
    """

    def __init__(
        self,
        record: Callable[[Sequence[Entry]], None],
        entries: Sequence[Entry],
        inbox: Inbox | None = None,
    ) -> None:
        """Take entries of an inbox, or entries that are in no inbox, and how to record them."""
        self._record = record
        self._pieces = [entries]  # the last is recorded next
        self._inbox = inbox
        self._done = 0
        self._slow = 0
        self._renew_at = time.monotonic() + _RENEW

    def after(self, error: Exception) -> int:
        """Isolate the cause of an error; return how many entries are done.

        Raises passing errors.
        """
        self._failed(self._pieces[-1], error)
        while self._pieces:
            piece = self._pieces[-1]
            try:
                self._record(piece)
            except Exception as failure:
                self._failed(piece, failure)
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
            self._inbox.release(self._inbox.consumer, entries, idle)


def dead_letter(callback: Callback, error: str, reason: str) -> None:
    """Store a dead letter; `reason` quotes nothing of the callback and is logged."""
    with transaction():
        add_dead_letter(callback, error[:2000], datetime.now(UTC))
    counting.dead_lettered(callback.provider)
    events.dead_lettered(callback.provider, callback.attempt, reason)
