"""One stream of the inbox: a Redis Stream read by a consumer group.

Delivery is at least once: an entry stays until it is acknowledged, which happens after the commit
that recorded it. All commands exist in Redis 6.2.
https://redis.io/docs/latest/develop/data-types/streams/
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from service.coordination.circuit_breaker import CircuitBreaker
from service.errors import InboxUnavailable
from service.inbox.consumers import remove_consumers
from service.inbox.entry import Entry, decode, encode
from service.inbox.stream_names import stream_names
from service.providers.base import Callback
from service.redis_client.fast_client import FastClient

_GROUP: Final = "recorders"
# Seconds between two checks of the limit in one process: a check for each callback costs a command.
_LIMIT_CHECK_INTERVAL: Final = 0.2
# One command, because a pipeline on a cluster refuses TIME.
_OLDEST_AGE: Final = """
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if not oldest[1] then return 0 end
local now, added = redis.call('TIME'), string.match(oldest[1][1], '^%d+')
return math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - added)
"""


class Stream:
    """Callbacks in order of arrival."""

    def __init__(self, redis: Redis, fast: FastClient, number: int, limit: int) -> None:
        """Use `fast`, a client with short time-outs, to put callbacks, and `redis` for the rest."""
        self.name = stream_names()[number]
        self.number = number
        self._redis = redis
        self._fast = fast
        self._limit = limit
        # Its own: when one node of a cluster fails, the streams of the others go on.
        self._breaker = CircuitBreaker()
        self._full = False
        self._check_at = 0.0

    def put(self, callback: Callback) -> None:
        """Store a callback. Raises InboxUnavailable if full, RedisError and CircuitOpen."""
        with self._breaker:
            if self._is_full():
                raise InboxUnavailable("full")
            self._fast.call(b"XADD", self.name, b"*", *encode(callback))

    def take(self, consumer: str, count: int, linger: float) -> list[Entry]:
        """Take up to `count` new entries, waiting up to `linger` seconds for the first."""
        block = int(linger * 1000) or None
        try:
            answer: Any = self._redis.xreadgroup(
                _GROUP, consumer, {self.name: ">"}, count=count, block=block
            )
        except ResponseError as error:
            self._create_group(error)
            return []
        return decode(answer[0][1], self.number) if answer else []  # [[stream, entries]]

    def reclaim(self, consumer: str, count: int, idle: float) -> list[Entry]:
        """Take entries that another consumer took `idle` seconds ago and did not acknowledge."""
        idle_ms = int(idle * 1000)
        try:
            pending = self._redis.xpending_range(self.name, _GROUP, "-", "+", count, idle=idle_ms)
            if not pending:
                return []
            deliveries = {entry["message_id"]: int(entry["times_delivered"]) for entry in pending}
            # Of two consumers that reclaim an entry together, only the first finds it idle.
            answer: Any = self._redis.xclaim(self.name, _GROUP, consumer, idle_ms, [*deliveries])
        except ResponseError as error:
            self._create_group(error)
            return []
        return [
            entry._replace(deliveries=deliveries[entry.id.encode()] + 1)
            for entry in decode(answer, self.number)
        ]

    def release(self, consumer: str, entries: Sequence[Entry], idle: float) -> None:
        """Mark entries as idle for `idle` seconds, so that they can be reclaimed immediately."""
        ids: Any = [entry.id for entry in entries]
        idle_ms = int(idle * 1000)
        # JUSTID does not count as a delivery.
        self._redis.xclaim(self.name, _GROUP, consumer, 0, ids, idle=idle_ms, justid=True)

    def page(self, after: str, count: int) -> list[Entry]:
        """Return the entries after an id (`0` for the first) without taking them."""
        answer: Any = self._redis.xrange(self.name, min=f"({after}", count=count)
        return decode(answer, self.number)

    def ack(self, entries: Sequence[Entry]) -> None:
        """Delete entries. Call this only after the commit that recorded them."""
        ids = [entry.id for entry in entries]
        pipe = self._redis.pipeline(transaction=True)
        pipe.xack(self.name, _GROUP, *ids)
        pipe.xdel(self.name, *ids)
        pipe.execute()

    def length(self) -> int:
        """Return the number of entries, also of those that a consumer has taken."""
        return int(self._redis.xlen(self.name))

    def oldest_age(self) -> float:
        """Return the age of the oldest entry in seconds, by Redis's clock; 0 if there is none."""
        return int(self._redis.register_script(_OLDEST_AGE)(keys=[self.name])) / 1000

    def remove_consumers(self, consumer: str, idle: float) -> int:
        """Remove a consumer, and those idle for `idle` seconds, unless they have entries."""
        return remove_consumers(self._redis, self.name, _GROUP, consumer, idle)

    def _is_full(self) -> bool:
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + _LIMIT_CHECK_INTERVAL
            self._full = self._fast.call(b"XLEN", self.name) > self._limit
        return self._full

    def _create_group(self, error: ResponseError) -> None:
        """Create the missing group: at the first read, or after Redis lost its data."""
        if "NOGROUP" not in str(error):
            raise error
        try:
            self._redis.xgroup_create(self.name, _GROUP, id="0", mkstream=True)
        except ResponseError as conflict:
            if "BUSYGROUP" not in str(conflict):
                raise
