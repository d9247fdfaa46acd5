"""Leaves a server alone that just failed to answer, so that nobody waits for it in turn."""

import time
from typing import Self

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

    def guard(self) -> Self:
        """Run one call inside `with`. Raises Resting without running it while all is left alone."""
        return self

    def __enter__(self) -> None:
        if not self._failing:
            return
        now = time.monotonic()
        if now < self._next_try:
            raise Resting
        self._next_try = now + self._rest

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._failing = False
        elif issubclass(kind, FAILURES):
            self._failing, self._next_try = True, time.monotonic() + self._rest
