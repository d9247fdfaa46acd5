"""The durable buffer of accepted callbacks: a Redis Stream read by a consumer group.

At least once: an entry is there until it is acknowledged, and is acknowledged only after the
commit that recorded it. Commands of Redis 6.2 and no newer.
https://redis.io/docs/latest/develop/data-types/streams/
"""

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
from service.redis_client.connections import FreeList

_STREAM: Final = "waybill:inbox"
_GROUP: Final = "recorders"
_REST: Final = "waybill:inbox:rest"
_SUSPECT: Final = "waybill:inbox:suspect:"
_SUSPECT_SECONDS: Final = 86_400
_READY: Final = "waybill:inbox:ready"
_READY_SECONDS: Final = 60
# So often a process looks whether the inbox is full, in seconds, and not at every callback.
_LOOK: Final = 0.2


# Entries from before migration 0011 name the sandbox by its earlier name.
_RENAMED_PROVIDERS: Final = {"test": SANDBOX}


class Entry(NamedTuple):
    """A callback in the inbox, and how often it was taken."""

    id: str
    callback: Callback
    deliveries: int = 1


class Inbox:
    """Accepted callbacks, in the order in which they came."""

    def __init__(self, redis: Redis, hurried: Redis, breaker: CircuitBreaker, limit: int) -> None:
        """Use `hurried`, of short timeouts, to put, and `redis` for the rest.

        Beyond `limit` entries callbacks are refused: Redis's memory is not ours to fill.
        """
        self._redis = redis
        self._connections = FreeList(hurried)
        self._breaker = breaker
        self._limit = limit
        self._full = False
        self._look_at = 0.0

    def put(self, callback: Callback) -> None:
        """Store a callback: one command, and its answer. Raises InboxUnavailable.

        Whoever puts sees to it that somebody takes.
        """
        try:
            with self._breaker.guard():
                if self._is_full():
                    raise InboxUnavailable("full")
                self._connections.call(b"XADD", _STREAM, b"*", *_packed(callback))
        except (RedisError, CircuitOpen) as error:
            raise InboxUnavailable(type(error).__name__) from error

    def has_room(self) -> bool:
        """Tell whether there is room for what was kept elsewhere while there was none."""
        return self.lag() <= self._limit // 2

    def rest(self, seconds: float) -> None:
        """Ask every drain to wait: the database does not answer."""
        self._redis.set(_REST, 1, px=int(seconds * 1000))

    def is_resting(self) -> bool:
        """Tell whether drains are to wait."""
        return bool(self._redis.exists(_REST))

    def take(self, consumer: str, count: int, linger: float) -> list[Entry]:
        """Take up to `count` new entries, waiting `linger` seconds for the first."""
        try:
            answer = self._redis.xreadgroup(
                _GROUP, consumer, {_STREAM: ">"}, count=count, block=int(linger * 1000) or None
            )
        except ResponseError as error:
            self._make_group(error)
            return []
        streams: Any = answer  # of one stream at most: [[name, entries]]
        return _unpacked(streams[0][1]) if streams else []

    def reclaim(self, consumer: str, count: int, idle: float) -> list[Entry]:
        """Take over entries that another consumer took `idle` seconds ago and never finished."""
        least = int(idle * 1000)
        try:
            pending = self._redis.xpending_range(_STREAM, _GROUP, "-", "+", count, idle=least)
            if not pending:
                return []
            deliveries = {one["message_id"]: int(one["times_delivered"]) for one in pending}
            # Of two that reclaim at once only one gets an entry: it is idle no more for the other.
            answer: Any = self._redis.xclaim(_STREAM, _GROUP, consumer, least, [*deliveries])
        except ResponseError as error:
            self._make_group(error)
            return []
        return [
            entry._replace(deliveries=deliveries[entry.id.encode()] + 1)
            for entry in _unpacked(answer)
        ]

    def give_back(self, consumer: str, entries: Iterable[Entry], idle: float) -> None:
        """Let entries be reclaimed at once by whoever reclaims what is `idle` seconds old."""
        ids: Any = [entry.id for entry in entries]
        # JUSTID: it was not delivered once more.
        self._redis.xclaim(_STREAM, _GROUP, consumer, 0, ids, idle=int(idle * 1000), justid=True)

    def page(self, after: str, count: int) -> list[Entry]:
        """Return the next entries past an id (`0` for the first), and leave them where they are."""
        answer: Any = self._redis.xrange(_STREAM, min=f"({after}", count=count)
        return _unpacked(answer)

    def ack(self, entries: Iterable[Entry]) -> None:
        """Forget entries. Call this only after the commit that recorded them."""
        ids = [entry.id for entry in entries]
        if not ids:
            return
        pipe = self._redis.pipeline(transaction=True)
        pipe.xack(_STREAM, _GROUP, *ids)
        pipe.xdel(_STREAM, *ids)
        pipe.execute()

    def lag(self) -> int:
        """Return how many accepted callbacks are not yet recorded."""
        return int(self._redis.xlen(_STREAM))

    def oldest_age(self) -> float:
        """Return how many seconds ago the oldest unrecorded callback came, by Redis's own clock."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        pipe.xrange(_STREAM, count=1)
        (seconds, micros), oldest = pipe.execute()
        if not oldest:
            return 0.0
        came = int(oldest[0][0].partition(b"-")[0]) / 1000
        return max(0.0, float(seconds + micros / 1e6 - came))

    def mark_suspect(self, entry_id: str) -> bool:
        """Note that an entry is being recorded alone; False when it was, and never cleared."""
        return bool(self._redis.set(_SUSPECT + entry_id, 1, nx=True, ex=_SUSPECT_SECONDS))

    def clear_suspect(self, entry_id: str) -> None:
        """Note that the process outlived the entry."""
        self._redis.delete(_SUSPECT + entry_id)

    def remove_consumers(self, name: str = "", idle: float = FOREVER) -> int:
        """Remove a consumer, and those idle for `idle` seconds, unless they hold entries."""
        return remove_consumers(self._redis, _STREAM, _GROUP, name, idle)

    def ping(self) -> None:
        """Raise RedisError when Redis does not store: an old master that only reads answers too."""
        self._connections.call(b"SET", _READY, b"1", b"EX", _READY_SECONDS)

    def _is_full(self) -> bool:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK
            self._full = self._connections.call(b"XLEN", _STREAM) > self._limit
        return self._full

    def _make_group(self, error: ResponseError) -> None:
        """Make the group that the first read, or a Redis that lost its memory, lacks."""
        if "NOGROUP" not in str(error):
            raise error
        try:
            self._redis.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
        except ResponseError as raced:
            if "BUSYGROUP" not in str(raced):
                raise


def _packed(callback: Callback) -> tuple[bytes | str | float, ...]:
    came = callback.received_at.timestamp()
    return (b"p", callback.provider, b"a", callback.attempt, b"b", callback.body, b"t", came)


def _unpacked(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
    return [
        Entry(
            entry_id.decode(),
            Callback(
                provider=_provider(fields[b"p"].decode()),
                attempt=fields[b"a"].decode(),
                body=fields[b"b"],
                received_at=datetime.fromtimestamp(float(fields[b"t"]), UTC),
            ),
        )
        for entry_id, fields in entries
        if fields  # an entry deleted meanwhile comes back without its fields (Redis 6.2)
    ]


def _provider(name: str) -> str:
    return _RENAMED_PROVIDERS.get(name, name)
