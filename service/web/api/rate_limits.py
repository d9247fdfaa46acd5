"""Limit how many messages a client may post, counted by flask-limiter in Redis for all replicas.

One round trip for each limit and post. Callbacks, health checks and reads are not counted.
"""

from functools import partial
from math import ceil
from time import time
from typing import Any, Final

from flask import Flask, Response, request
from flask_limiter import Limiter, RateLimitExceeded, RequestLimit
from limits import RateLimitItem, parse_many
from redis import Redis

from service.errors import RateLimited
from service.web.api import authentication
from service.web.api.rate_limit_storage import SCHEME
from service.web.errors import answer, problem

_BATCH: Final = "messages.post_batch"
_LIMITED: Final = ("messages.post", _BATCH)
# While Redis is unavailable posts are counted in memory, against a limit that none can reach.
# flask-limiter then asks Redis with one post after 1, 2, 4, ... 32 s, and no other post waits.
_WITHOUT_REDIS: Final = "1000000/second"


def init_app(app: Flask, limits: str | None, redis: Redis) -> None:
    """Apply limits such as `100/second;5000/minute` to the posts of each client."""
    if limits is None:
        return
    storage: Any = {"client": redis, "key_prefix": "waybill:posts"}
    limiter = Limiter(
        _client,
        strategy="sliding-window-counter",
        storage_uri=f"{SCHEME}://",
        storage_options=storage,
        in_memory_fallback=[_WITHOUT_REDIS],
        on_breach=_refuse,
        headers_enabled=False,  # on every answer they would cost another round trip
    )
    limiter.init_app(app)
    # The fallback limits apply to every route that is not exempt.
    limiter.request_filter(lambda: request.endpoint not in _LIMITED)
    for limit in parse_many(limits):
        _apply(limiter, limit, app)
    app.register_error_handler(RateLimitExceeded, lambda error: error.get_response())


def _apply(limiter: Limiter, limit: RateLimitItem, app: Flask) -> None:
    limited: Any = limiter.shared_limit(str(limit), "posts", cost=partial(_cost, limit.amount))
    for endpoint in _LIMITED:
        app.view_functions[endpoint] = limited(app.view_functions[endpoint])


def _client() -> str:
    return str(authentication.client_id())


def _cost(limit: int) -> int:
    """Return the number of messages, at most the whole limit: a larger batch could never pass."""
    if request.endpoint != _BATCH:
        return 1
    try:
        batch = request.get_json(silent=True)
    except RecursionError:
        return 1
    messages = batch.get("messages") if isinstance(batch, dict) else None
    return min(limit, max(1, len(messages))) if isinstance(messages, list) else 1


def _refuse(breached: RequestLimit) -> Response:
    wait = max(1, ceil(breached.window.reset_time - time()))
    response = answer(problem(RateLimited(f"rate limit exceeded; retry after {wait} s")))
    response.headers["Retry-After"] = str(wait)
    response.headers["RateLimit-Limit"] = str(breached.limit.amount)
    response.headers["RateLimit-Remaining"] = str(breached.remaining)
    response.headers["RateLimit-Reset"] = str(wait)
    return response
