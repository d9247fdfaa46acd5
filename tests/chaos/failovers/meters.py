"""Counters of what each kind of process does, read all the time: when did they not grow?"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

import requests
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from demo.stack import Stack
from service.models import StatusEvent
from simulator.config import Config
from simulator.running import Running
from tests.chaos.failovers.traffic import Steady

#: Kinds of process, by what they do.
POSTS: Final = "web: posts accepted"
CALLBACKS: Final = "web: callbacks acknowledged"
SENDS: Final = "send worker: messages on the air"
RECORDS: Final = "status worker: reports recorded"
TICKS: Final = "beat: tasks enqueued"

_INTERVAL: Final = 0.1
_UNAVAILABLE: Final = (requests.RequestException, SQLAlchemyError, OSError)


class Meter:
    """Reads a counter ten times a second and keeps the moments at which it grew."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read, self._value = read, 0
        self._moments = list[float]()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._done.set()
        self._thread.join()

    def has_grown_since(self, moment: float) -> bool:
        """Report whether the counter has grown after a moment of the monotonic clock."""
        return bool(self._moments) and self._moments[-1] > moment

    def longest_pause(self, start: float, end: float) -> float:
        """Return the longest time, in seconds, in which the counter did not grow."""
        return longest_pause(self._moments, start, end)

    def _watch(self) -> None:
        while not self._done.wait(_INTERVAL):
            with suppress(*_UNAVAILABLE):
                value = self._read()
                if value > self._value:
                    self._moments.append(time.monotonic())
                self._value = value


def longest_pause(moments: list[float], start: float, end: float) -> float:
    """Return the longest time between two moments, of which the start and the end count as two."""
    inside = [start, *(moment for moment in moments if start < moment < end), end]
    return max(later - earlier for earlier, later in pairwise(inside))


@contextmanager
def meters(stack: Stack, traffic: Steady, engine: Engine) -> Iterator[Mapping[str, Meter]]:
    """Watch all kinds of process until the end of the block."""
    provider = Running(stack.simulator_url, Config())
    beat = _Lines(stack.directory / "beat.log", b" sent. id->")
    watched = {
        POSTS: Meter(lambda: traffic.accepted),
        CALLBACKS: Meter(lambda: int(provider.summary()["callbacks"]["acknowledged"])),
        SENDS: Meter(lambda: int(provider.summary()["on_air"])),
        RECORDS: Meter(lambda: _recorded(engine)),
        TICKS: Meter(beat.count),
    }
    for meter in watched.values():
        meter.start()
    try:
        yield watched
    finally:
        for meter in watched.values():
            meter.stop()


def _recorded(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(StatusEvent)).scalar_one()


class _Lines:
    """Counts the lines of a growing file that have a text."""

    def __init__(self, file: Path, text: bytes) -> None:
        self._file, self._text = file, text
        self._offset, self._found = 0, 0

    def count(self) -> int:
        """Return how many lines had the text until now."""
        with self._file.open("rb") as file:
            file.seek(self._offset)
            while (line := file.readline()).endswith(b"\n"):
                self._found += self._text in line
                self._offset = file.tell()
        return self._found
