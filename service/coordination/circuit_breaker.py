"""A circuit breaker: a server that failed is left alone, so that callers do not wait in turn."""

import time
from typing import Final, Self

from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.connections import is_not_here

FAILURES: Final = (RedisError, KombuError, OSError)
_AWAY: Final = (RedisConnectionError, RedisTimeoutError, OperationalError, OSError)


class CircuitOpen(Exception):
    """The server is being left alone; nothing was asked of it."""


class CircuitBreaker:
    """One for each use of a server. While it is open, one caller in `rest` seconds may try.

    Only a server that does not answer, or answers that it is not the one to ask, opens it. An error
    in one command says nothing about the next: one of the page cache must not cost callbacks.
    """

    def __init__(self, rest: float = 1.0) -> None:
        self._rest = rest
        self._failing = False
        self._next_try = 0.0

    def guard(self) -> Self:
        """Run one call inside `with`. Raises Resting while the breaker is open."""
        return self

    def __enter__(self) -> None:
        if not self._failing:
            return
        now = time.monotonic()
        if now < self._next_try:
            raise CircuitOpen
        self._next_try = now + self._rest

    def __exit__(self, _kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, OperationalError):
            error = error.__cause__ or error  # kombu wraps what Redis raised
        if isinstance(error, _AWAY) or is_not_here(error):
            self._failing, self._next_try = True, time.monotonic() + self._rest
        elif error is None or isinstance(error, ResponseError):
            self._failing = False
