"""How many streams processes use, so that consumers also read those that only others use.

While the number of streams changes, processes with the earlier and the new number run side by side.
Each process that puts callbacks into more than one stream says so in a sorted set: its number of
streams, and when it last said so.
"""

import time
from typing import Any, Final

from redis import Redis

from service.redis_client.fast_client import FastClient

_KEY: Final = "waybill:inbox:streams"
# Seconds between two times that a process says or asks for it.
_SAY_INTERVAL: Final = 10.0
_ASK_INTERVAL: Final = 1.0
# Seconds for which consumers read the streams of a number that no process uses any more. While they
# have entries a sweep says so again.
_KEPT: Final = 3_600.0


class StreamsInUse:
    """The number of streams that consumers read: the largest that a process used in an hour."""

    def __init__(self, redis: Redis, fast: FastClient, own: int) -> None:
        """Take the number of streams into which this process puts callbacks."""
        self._redis = redis
        self._fast = fast
        self._own = own
        self._number = own
        self._say_at = 0.0
        self._ask_at = 0.0

    def say(self) -> None:
        """Say that this process uses its streams. Call it before each use. Raises RedisError."""
        if self._own > 1 and (now := time.monotonic()) >= self._say_at:
            self._fast.call(b"ZADD", _KEY, time.time(), self._own)
            self._say_at = now + _SAY_INTERVAL

    def number(self) -> int:
        """Return how many streams to read. Raises RedisError."""
        now = time.monotonic()
        if now >= self._ask_at:
            numbers: Any = self._redis.zrangebyscore(_KEY, time.time() - _KEPT, "+inf")
            self._number = max([self._own, *map(int, numbers)])
            self._ask_at = now + _ASK_INTERVAL
        return self._number

    def keep(self, number: int) -> None:
        """Keep the first `number` streams in use for another hour: they have entries."""
        self._redis.zadd(_KEY, {str(number): time.time()})
