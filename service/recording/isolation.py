"""Record entries of the inbox, and find the one that cannot be recorded."""

import os
import socket
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from service.components import components
from service.database import transaction
from service.database.errors import is_passing, is_slow
from service.domain.report import StatusReport
from service.inbox.stream import Entry, Inbox
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Callback
from service.queries import callbacks as aside
from service.recording import record as recording
from service.recording.answers import ANSWER, unpacked
from service.recording.record_answers import record_answers

# Seconds after which another worker takes an entry over: longer than a batch takes.
IDLE: Final = 20.0
_KEEP: Final = 5.0


def record_callbacks(callbacks: Sequence[Callback]) -> None:
    """Record callbacks; set aside what cannot be recorded. Raises what may pass."""
    Isolation([Entry("", callback) for callback in callbacks]).record()


class Isolation:
    """Records entries together, and in halves where that fails, until the guilty one is alone.

    What passes, such as a lost connection, is nobody's fault: it ends the work, and the entries
    that are left are given back. A statement that takes too long is tried with fewer entries. Alone
    it may still be slow because the database is: it stays in the inbox, and is set aside with the
    last of its deliveries.
    """

    def __init__(self, entries: Sequence[Entry], inbox: Inbox | None = None) -> None:
        """Take entries out of an inbox, or callbacks that are in none."""
        self._left = [entries] if entries else []  # in pieces, the next one last
        self._inbox = inbox
        self._done = 0
        self._slow = 0
        self._keep_at = time.monotonic() + _KEEP

    def record(self) -> int:
        """Return how many entries are dealt with. Raises what may pass."""
        while self._left:
            piece = self._left[-1]
            try:
                _record_together([entry.callback for entry in piece])
            except Exception as error:
                self._failed(piece, error)
            else:
                self._left.pop()
                self._finish(piece)
        return self._done

    def _failed(self, piece: Sequence[Entry], error: Exception) -> None:
        if is_passing(error) or (len(piece) == 1 and is_slow(error) and self._is_stuck()):
            self._give_back(IDLE)  # whoever takes next begins with these
            raise error
        self._left.pop()
        if len(piece) > 1:
            middle = len(piece) // 2
            self._left += [piece[middle:], piece[:middle]]
            self._keep()
        elif not is_slow(error):
            set_aside(piece[0].callback, repr(error), type(error).__name__)
            self._finish(piece)

    def _is_stuck(self) -> bool:
        """Tell whether to give up: the second slow entry means that the database is slow."""
        self._slow += 1
        return self._inbox is None or self._slow > 1

    def _finish(self, piece: Sequence[Entry]) -> None:
        self._done += len(piece)
        if self._inbox is not None:
            self._inbox.ack(piece)

    def _keep(self) -> None:
        """Hold the entries that are left: after `IDLE` seconds another worker would take them."""
        if time.monotonic() >= self._keep_at:
            self._keep_at = time.monotonic() + _KEEP
            self._give_back(0)

    def _give_back(self, idle: float) -> None:
        left = [entry for piece in self._left for entry in piece]
        if self._inbox is not None and left:
            self._inbox.give_back(consumer(), left, idle)


def _record_together(callbacks: Sequence[Callback]) -> None:
    """Record callbacks in one transaction, and answers of providers in another."""
    answers = [unpacked(entry) for entry in callbacks if entry.provider == ANSWER]
    reported = [callback for callback in callbacks if callback.provider != ANSWER]
    if answers:
        record_answers(answers)
    if reported:
        tally = recording.record(_parsed(reported))
        counting.recorded(tally.kinds, [callback.received_at for callback in reported])
        events.recorded(tally, [callback.received_at for callback in reported])


def _parsed(callbacks: Iterable[Callback]) -> list[StatusReport]:
    providers = components().providers
    return [providers[callback.provider].parse(callback) for callback in callbacks]


def set_aside(callback: Callback, error: str, reason: str) -> None:
    """Keep a callback among the dead letters; `reason` quotes nothing and may be logged."""
    with transaction():
        aside.add_dead_letter(callback, error[:2000], datetime.now(UTC))
    counting.dead_lettered(callback.provider)
    events.dead_lettered(callback.provider, callback.attempt, reason)


def consumer() -> str:
    """Return this process's name in the consumer group."""
    return f"{socket.gethostname()}-{os.getpid()}"
