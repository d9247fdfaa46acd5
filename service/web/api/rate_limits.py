"""How much a client may post: counted in Redis, for all replicas. Without Redis nobody is refused.

One round trip for each limit and post. Callbacks, health and reading are never counted.
"""

import logging
from functools import partial
from math import ceil
from time import time
from typing import Any, Final

from flask import Flask, Response, request
from flask_limiter import Limiter, RateLimitExceeded
from limits import parse_many
from limits.storage import RedisStorage
from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.errors import TooMany, Unauthenticated
from service.web.api import authentication
from service.web.errors import answer, problem

_POST: Final = "messages.post"
_BATCH: Final = "messages.post_batch"
_AWAY: Final = (RedisError, CircuitOpen)

_log = logging.getLogger(__name__)


class _Counts(RedisStorage):
    """The counts in our own Redis, behind our own breaker: no post waits for one that is away."""

    STORAGE_SCHEME = ["waybill"]  # noqa: RUF012 - as the library declares it

    def __init__(self, uri: str, *, redis: Redis, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        super().__init__(uri, redis.connection_pool, key_prefix="waybill:posts")

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        try:
            with self._breaker:
                return super().acquire_sliding_window_entry(key, limit, expiry, amount)
        except _AWAY as error:
            _log.warning("posts are not counted (%s)", type(error).__name__)
            return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        try:
            with self._breaker:
                return super().get_sliding_window(key, expiry)
        except _AWAY:
            return 0, 0.0, 0, 0.0


def init_app(app: Flask, limits: str | None, redis: Redis, breaker: CircuitBreaker) -> None:
    """Count posts against limits such as `100/second;5000/minute`; None: there are none."""
    if limits is None:
        return
    options: Any = {"redis": redis, "breaker": breaker}
    limiter = Limiter(
        _client,
        strategy="sliding-window-counter",
        storage_uri="waybill://",
        storage_options=options,
        headers_enabled=False,  # on every answer they would cost another round trip
    )
    limiter.init_app(app)
    for limit in parse_many(limits):
        counted: Any = limiter.shared_limit(
            str(limit), "posts", exempt_when=_is_nobody, cost=partial(_cost, limit.amount)
        )
        for name in (_POST, _BATCH):
            app.view_functions[name] = counted(app.view_functions[name])
    app.register_error_handler(RateLimitExceeded, partial(_refused, limiter))


def _client() -> str:
    return str(authentication.client_id())


def _is_nobody() -> bool:
    """Tell whether the view will refuse the caller anyway."""
    try:
        authentication.caller()
    except Unauthenticated:
        return True
    return False


def _cost(most: int) -> int:
    """Return how many messages are posted; never more than a whole limit, else none would do."""
    if request.endpoint != _BATCH:
        return 1
    try:
        given = request.get_json(silent=True)
    except RecursionError:
        return 1
    messages = given.get("messages") if isinstance(given, dict) else None
    return min(most, max(1, len(messages))) if isinstance(messages, list) else 1


def _refused(limiter: Limiter, _error: RateLimitExceeded) -> Response:
    breached = limiter.current_limit
    response = answer(problem(TooMany("you post more than you may; wait, then post it again")))
    assert breached is not None  # set before the error was raised
    wait = max(1, ceil(breached.window.reset_time - time()))
    response.headers["Retry-After"] = str(wait)
    response.headers["RateLimit-Limit"] = str(breached.limit.amount)
    response.headers["RateLimit-Remaining"] = str(breached.remaining)
    response.headers["RateLimit-Reset"] = str(wait)
    return response
