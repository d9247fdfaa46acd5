"""Values that replicas share for a while. Without Redis nothing is shared, and nothing fails."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen

_PREFIX: Final = "waybill:shelf:"
_AWAY: Final = (RedisError, CircuitOpen)


class Cache:
    """JSON values under names, each with its own time to live in seconds."""

    def __init__(self, redis: Redis, breaker: CircuitBreaker) -> None:
        self._redis = redis
        self._breaker = breaker

    def read(self, names: Sequence[str]) -> list[Any]:
        """Return the values of these names, None where there is none."""
        try:
            with self._breaker.guard():
                found: Any = self._redis.mget([_PREFIX + name for name in names])
        except _AWAY:
            return [None] * len(names)
        return [None if one is None else json.loads(one) for one in found]

    def put(self, values: Mapping[str, Any], seconds: float) -> None:
        """Keep values, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for name, value in values.items():
            pipe.set(_PREFIX + name, json.dumps(value), px=int(seconds * 1000))
        try:
            with self._breaker.guard():
                pipe.execute()
        except _AWAY:
            return

    def claim(self, name: str, seconds: float) -> bool:
        """Tell whether to do a piece of work: one caller may, until it is over or time is up."""
        try:
            with self._breaker.guard():
                return bool(self._redis.set(_PREFIX + name, 1, nx=True, px=int(seconds * 1000)))
        except _AWAY:
            return True

    def release(self, name: str) -> None:
        """Say that the work is over."""
        try:
            with self._breaker.guard():
                self._redis.delete(_PREFIX + name)
        except _AWAY:
            return
