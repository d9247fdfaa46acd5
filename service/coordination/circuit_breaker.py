"""Circuit breaker: calls to a server that failed are refused, so that they do not all time out."""

import time
from typing import Final

from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.closing import is_unavailable

FAILURES: Final = (RedisError, KombuError, OSError)
_UNREACHABLE: Final = (RedisConnectionError, RedisTimeoutError, OperationalError, OSError)


class CircuitOpen(Exception):
    """The call was not made: the server failed less than `reset_timeout` seconds ago."""


class CircuitBreaker:
    """Run one call inside `with`. Raises CircuitOpen while the breaker is open.

    Each use of a server has its own breaker. While it is open, one call every `reset_timeout`
    seconds is tried. Only a server that is unreachable or cannot serve opens it, not an error in
    one command: an error of the page cache must not affect callbacks.
    """

    def __init__(self, reset_timeout: float = 1.0) -> None:
        self._reset_timeout = reset_timeout
        self._failing = False
        self._next_try = 0.0

    def __enter__(self) -> None:
        if not self._failing:
            return
        now = time.monotonic()
        if now < self._next_try:
            raise CircuitOpen
        self._next_try = now + self._reset_timeout

    def __exit__(self, _kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, OperationalError):
            error = error.__cause__ or error  # kombu wraps the errors of redis-py
        if isinstance(error, _UNREACHABLE) or is_unavailable(error):
            self._failing, self._next_try = True, time.monotonic() + self._reset_timeout
        elif error is None or isinstance(error, ResponseError):
            self._failing = False
