"""The durable buffer of accepted callbacks: a Redis Stream read by a consumer group.

At least once: an entry is there until it is acknowledged, and is acknowledged only after the
commit that recorded it. Commands of Redis 6.2 and no newer.
https://redis.io/docs/latest/develop/data-types/streams/
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from service.errors import InboxUnavailable
from service.providers.contract import Callback

_STREAM: Final = "waybill:inbox"
_GROUP: Final = "recorders"
_WAKE: Final = "waybill:inbox:wake"
# A wake that was asked for and never came (its process died) blocks the next one this long.
_WAKE_SECONDS: Final = 5


class Entry(NamedTuple):
    """A callback in the inbox."""

    id: str
    callback: Callback


class Inbox:
    """Accepted callbacks, in the order in which they came."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def put(self, callback: Callback) -> bool:
        """Store a callback. Returns whether a worker must be woken. Raises InboxUnavailable.

        The wake flag travels in the same round trip: one drain is asked for, not one per callback.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(_STREAM, _packed(callback))
        pipe.set(_WAKE, 1, nx=True, ex=_WAKE_SECONDS)
        try:
            _, must_wake = pipe.execute()
        except RedisError as error:
            raise InboxUnavailable(type(error).__name__) from error
        return bool(must_wake)

    def awake(self) -> None:
        """Say that a drain has begun: a callback from now on must wake another."""
        self._redis.delete(_WAKE)

    def take(self, consumer: str, count: int, linger: float) -> list[Entry]:
        """Take up to `count` new entries, waiting `linger` seconds for the first."""
        try:
            answer = self._redis.xreadgroup(
                _GROUP, consumer, {_STREAM: ">"}, count=count, block=max(1, int(linger * 1000))
            )
        except ResponseError as error:
            self._make_group(error)
            return []
        streams: Any = answer  # of one stream at most: [[name, entries]]
        return _unpacked(streams[0][1]) if streams else []

    def reclaim(self, consumer: str, count: int, idle: float) -> list[Entry]:
        """Take over entries that another consumer took `idle` seconds ago and never finished."""
        try:
            answer = self._redis.xautoclaim(
                _STREAM, _GROUP, consumer, min_idle_time=int(idle * 1000), count=count
            )
        except ResponseError as error:
            self._make_group(error)
            return []
        return _unpacked(answer[1])

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

    def ping(self) -> None:
        """Raise RedisError when Redis does not answer."""
        self._redis.ping()

    def _make_group(self, error: ResponseError) -> None:
        """Make the group that the first read, or a Redis that lost its memory, lacks."""
        if "NOGROUP" not in str(error):
            raise error
        try:
            self._redis.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
        except ResponseError as raced:
            if "BUSYGROUP" not in str(raced):
                raise


def _packed(callback: Callback) -> dict[Any, Any]:
    return {
        b"p": callback.provider,
        b"a": callback.attempt,
        b"b": callback.body,
        b"t": callback.received_at.timestamp(),
    }


def _unpacked(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
    return [
        Entry(
            entry_id.decode(),
            Callback(
                provider=fields[b"p"].decode(),
                attempt=fields[b"a"].decode(),
                body=fields[b"b"],
                received_at=datetime.fromtimestamp(float(fields[b"t"]), UTC),
            ),
        )
        for entry_id, fields in entries
        if fields  # an entry deleted meanwhile comes back without its fields (Redis 6.2)
    ]
