"""Short-lived cache shared by all replicas. If Redis is down, reads miss and writes are dropped."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen

_PREFIX: Final = "waybill:shelf:"
_UNAVAILABLE: Final = (RedisError, CircuitOpen)


class Cache:
    """JSON values by name, with a time to live in seconds."""

    def __init__(self, redis: Redis, breaker: CircuitBreaker) -> None:
        self._redis = redis
        self._breaker = breaker

    def read(self, names: Sequence[str]) -> list[Any]:
        """Return the values of these names, None for each that is missing."""
        try:
            with self._breaker:
                # Not MGET, which a cluster refuses for keys of several nodes.
                pipe = self._redis.pipeline(transaction=False)
                for name in names:
                    pipe.get(_PREFIX + name)
                values: Any = pipe.execute()
        except _UNAVAILABLE:
            return [None] * len(names)
        return [None if value is None else json.loads(value) for value in values]

    def put(self, values: Mapping[str, Any], seconds: float) -> None:
        """Store values, in one round trip."""
        try:
            with self._breaker:
                pipe = self._redis.pipeline(transaction=False)
                for name, value in values.items():
                    pipe.set(_PREFIX + name, json.dumps(value), px=int(seconds * 1000))
                pipe.execute()
        except _UNAVAILABLE:
            return
