"""The durable buffer of accepted callbacks: a Redis Stream read by a consumer group.

Delivery is at least once: an entry stays until it is acknowledged, which happens after the commit
that recorded it. All commands exist in Redis 6.2.
https://redis.io/docs/latest/develop/data-types/streams/
"""

import os
import socket
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.errors import InboxUnavailable
from service.inbox.consumers import FOREVER, remove_consumers
from service.providers.base import Callback
from service.providers.sandbox import SANDBOX
from service.redis_client.fast_client import FastClient

_STREAM: Final = "waybill:inbox"
_GROUP: Final = "recorders"
_PAUSED: Final = "waybill:inbox:rest"
_SUSPECT: Final = "waybill:inbox:suspect:"
_SUSPECT_SECONDS: Final = 86_400
_READY: Final = "waybill:inbox:ready"
_READY_SECONDS: Final = 60
# Seconds between two checks of the limit in one process: a check for each callback costs a command.
_LIMIT_CHECK_INTERVAL: Final = 0.2
# Entries that another consumer took and did not finish are recorded in smaller batches.
_RECLAIMED_BATCH: Final = 500
# Seconds for which a batch smaller than this waits for more entries, which then share its costs.
_LINGER: Final = 0.05
_SMALL_BATCH: Final = 500
# Entries from before migration 0011 have the earlier name of the sandbox.
_RENAMED_PROVIDERS: Final = {"test": SANDBOX}


class Entry(NamedTuple):
    """A callback in the inbox, and how often it was delivered to a consumer."""

    id: str
    callback: Callback
    deliveries: int = 1


class Inbox:
    """Accepted callbacks, in order of arrival."""

    def __init__(self, redis: Redis, fast: FastClient, breaker: CircuitBreaker, limit: int) -> None:
        """Use `fast`, a client with short time-outs, to put callbacks, and `redis` for the rest.

        With more than `limit` entries the inbox refuses callbacks, to protect Redis's memory.
        """
        # The name of this process in the consumer group.
        self.consumer = f"{socket.gethostname()}-{os.getpid()}"
        self._redis = redis
        self._fast = fast
        self._breaker = breaker
        self._limit = limit
        self._full = False
        self._check_at = 0.0

    def put(self, callback: Callback) -> None:
        """Store a callback. Raises InboxUnavailable. The caller then requests a recording task."""
        try:
            with self._breaker:
                if self._is_full():
                    raise InboxUnavailable("full")
                self._fast.call(b"XADD", _STREAM, b"*", *_encode(callback))
        except (RedisError, CircuitOpen) as error:
            raise InboxUnavailable(type(error).__name__) from error

    def has_room(self) -> bool:
        """Return whether callbacks of the overflow table may move here: it is at most half full."""
        return self.lag() <= self._limit // 2

    def pause(self, seconds: float) -> None:
        """Pause all consumers, because the database does not answer."""
        self._redis.set(_PAUSED, 1, px=int(seconds * 1000))

    def is_paused(self) -> bool:
        """Return whether consumers are paused."""
        return bool(self._redis.exists(_PAUSED))

    def next_batch(self, count: int, idle: float) -> list[Entry]:
        """Take entries for this process: what another left for `idle` seconds, else new ones."""
        reclaimed = self.reclaim(self.consumer, _RECLAIMED_BATCH, idle)
        if reclaimed:
            return reclaimed
        batch = self.take(self.consumer, count, _LINGER)
        if not batch or len(batch) >= _SMALL_BATCH:
            return batch
        time.sleep(_LINGER)
        return batch + self.take(self.consumer, count - len(batch), linger=0)

    def take(self, consumer: str, count: int, linger: float) -> list[Entry]:
        """Take up to `count` new entries, waiting up to `linger` seconds for the first."""
        try:
            answer: Any = self._redis.xreadgroup(
                _GROUP, consumer, {_STREAM: ">"}, count=count, block=int(linger * 1000) or None
            )
        except ResponseError as error:
            self._create_group(error)
            return []
        return _decode(answer[0][1]) if answer else []  # [[stream, entries]]

    def reclaim(self, consumer: str, count: int, idle: float) -> list[Entry]:
        """Take entries that another consumer took `idle` seconds ago and did not acknowledge."""
        idle_ms = int(idle * 1000)
        try:
            pending = self._redis.xpending_range(_STREAM, _GROUP, "-", "+", count, idle=idle_ms)
            if not pending:
                return []
            deliveries = {entry["message_id"]: int(entry["times_delivered"]) for entry in pending}
            # Of two consumers that reclaim an entry together, only the first finds it idle.
            answer: Any = self._redis.xclaim(_STREAM, _GROUP, consumer, idle_ms, [*deliveries])
        except ResponseError as error:
            self._create_group(error)
            return []
        return [
            entry._replace(deliveries=deliveries[entry.id.encode()] + 1)
            for entry in _decode(answer)
        ]

    def release(self, consumer: str, entries: Iterable[Entry], idle: float) -> None:
        """Mark entries as idle for `idle` seconds, so that they can be reclaimed immediately."""
        ids: Any = [entry.id for entry in entries]
        # JUSTID does not count as a delivery.
        self._redis.xclaim(_STREAM, _GROUP, consumer, 0, ids, idle=int(idle * 1000), justid=True)

    def page(self, after: str, count: int) -> list[Entry]:
        """Return the entries after an id (`0` for the first) without taking them."""
        answer: Any = self._redis.xrange(_STREAM, min=f"({after}", count=count)
        return _decode(answer)

    def ack(self, entries: Iterable[Entry]) -> None:
        """Delete entries. Call this only after the commit that recorded them."""
        ids = [entry.id for entry in entries]
        if not ids:
            return
        pipe = self._redis.pipeline(transaction=True)
        pipe.xack(_STREAM, _GROUP, *ids)
        pipe.xdel(_STREAM, *ids)
        pipe.execute()

    def lag(self) -> int:
        """Return the number of accepted callbacks that are not yet recorded."""
        return int(self._redis.xlen(_STREAM))

    def oldest_age(self) -> float:
        """Return the age of the oldest entry in seconds, by Redis's clock; 0 if there is none."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        pipe.xrange(_STREAM, count=1)
        (seconds, micros), oldest = pipe.execute()
        if not oldest:
            return 0.0
        added_at = int(oldest[0][0].partition(b"-")[0]) / 1000
        return max(0.0, float(seconds + micros / 1e6 - added_at))

    def mark_suspect(self, entry_id: str) -> bool:
        """Mark an entry that is about to be recorded alone.

        Returns False if a mark is left from before: the process that set it died on the entry.
        """
        return bool(self._redis.set(_SUSPECT + entry_id, 1, nx=True, ex=_SUSPECT_SECONDS))

    def clear_suspect(self, entry_id: str) -> None:
        """Remove the mark of an entry that did not kill its process."""
        self._redis.delete(_SUSPECT + entry_id)

    def remove_consumers(self, name: str = "", idle: float = FOREVER) -> int:
        """Remove a consumer, and those idle for `idle` seconds, unless they have entries."""
        return remove_consumers(self._redis, _STREAM, _GROUP, name, idle)

    def ping(self) -> None:
        """Raise RedisError unless Redis takes writes (a read-only replica answers PING, too)."""
        self._fast.call(b"SET", _READY, b"1", b"EX", _READY_SECONDS)

    def _is_full(self) -> bool:
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + _LIMIT_CHECK_INTERVAL
            self._full = self._fast.call(b"XLEN", _STREAM) > self._limit
        return self._full

    def _create_group(self, error: ResponseError) -> None:
        """Create the missing group: at the first read, or after Redis lost its data."""
        if "NOGROUP" not in str(error):
            raise error
        try:
            self._redis.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
        except ResponseError as conflict:
            if "BUSYGROUP" not in str(conflict):
                raise


def _encode(callback: Callback) -> tuple[bytes | str | float, ...]:
    received = callback.received_at.timestamp()
    return (b"p", callback.provider, b"a", callback.attempt, b"b", callback.body, b"t", received)


def _decode(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
    decoded = []
    for entry_id, fields in entries:
        if fields:  # Redis 6.2 returns an entry that was deleted meanwhile without its fields
            provider = fields[b"p"].decode()
            callback = Callback(
                provider=_RENAMED_PROVIDERS.get(provider, provider),
                attempt=fields[b"a"].decode(),
                body=fields[b"b"],
                received_at=datetime.fromtimestamp(float(fields[b"t"]), UTC),
            )
            decoded.append(Entry(entry_id.decode(), callback))
    return decoded
