"""Leaves a server alone that just failed to answer, so that nobody waits for it in turn."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

FAILURES = (RedisError, KombuError, OSError)


class Resting(Exception):
    """The server is being left alone; nothing was asked of it."""


class Breaker:
    """One for each server. While it is open one caller in `rest` seconds may try; none else."""

    def __init__(self, rest: float = 1.0) -> None:
        self._rest = rest
        self._failing = False
        self._next_try = 0.0

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run one call. Raises Resting without running it while the server is left alone."""
        now = time.monotonic()
        if self._failing:
            if now < self._next_try:
                raise Resting
            self._next_try = now + self._rest
        try:
            yield
        except FAILURES:
            self._failing, self._next_try = True, time.monotonic() + self._rest
            raise
        self._failing = False
