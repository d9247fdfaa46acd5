"""Heartbeats: every process writes one to Redis every 5 s and counts as alive for 20 s.

One key per process, which expires, and one sorted set of the names: reading all heartbeats takes
two round trips, however many other keys Redis holds.
"""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

INTERVAL: Final = 5.0  # seconds
TTL: Final = 20.0  # seconds

_NAMES: Final = "waybill:presence"
_KEY: Final = "waybill:presence:"
# Bounds what a page or a scrape reads.
_MAX_PROCESSES: Final = 1000
# Names are kept for an hour: the clocks of hosts may differ, and the key decides who is alive.
_KEEP_NAMES: Final = 3600

_log = logging.getLogger(__name__)


class Replica(NamedTuple):
    """A live process of the kind `web`, `worker` or `beat`."""

    kind: str
    name: str
    queues: tuple[str, ...]
    since: datetime  # its start, by its own clock
    seen: datetime  # its last heartbeat, by the reader's clock


class Heartbeats:
    """Sends the heartbeats of this process and reads those of all processes."""

    def __init__(self, redis: Redis) -> None:
        """Use a Redis connection with short timeouts."""
        self._redis = redis
        self._since = datetime.now(UTC)

    def send(self, kind: str, name: str, queues: Sequence[str]) -> None:
        """Send a heartbeat. Does nothing while Redis is unavailable."""
        member = f"{kind}:{name}"
        value = json.dumps([kind, name, list(queues), self._since.timestamp()])
        now = datetime.now(UTC).timestamp()
        try:
            pipe = self._redis.pipeline(transaction=False)
            pipe.set(_KEY + member, value, px=int(TTL * 1000))
            pipe.zadd(_NAMES, {member: now})
            pipe.zremrangebyscore(_NAMES, "-inf", now - _KEEP_NAMES)
            pipe.execute()
        except RedisError as error:
            _log.debug("heartbeat not sent: Redis unavailable (%s)", type(error).__name__)

    def remove(self, kind: str, name: str) -> None:
        """Remove the heartbeat of a process that stops. Does nothing while Redis is unavailable."""
        try:
            self._redis.delete(f"{_KEY}{kind}:{name}")
        except RedisError as error:
            _log.debug("heartbeat not removed: Redis unavailable (%s)", type(error).__name__)

    def alive(self) -> list[Replica]:
        """Return the live processes by kind and name; none while Redis is unavailable."""
        try:
            return sorted(self._alive())
        except RedisError as error:
            _log.warning("cannot read heartbeats: Redis unavailable (%s)", type(error).__name__)
            return []

    def _alive(self) -> list[Replica]:
        members: Any = self._redis.zrevrange(_NAMES, 0, _MAX_PROCESSES - 1)
        if not members:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for member in members:
            key = _KEY.encode() + member
            pipe.get(key)
            pipe.pttl(key)
        answers = pipe.execute()
        now = datetime.now(UTC)
        pairs = zip(answers[::2], answers[1::2], strict=True)
        return [_replica(value, ttl / 1000, now) for value, ttl in pairs if value and ttl > 0]


def _replica(value: bytes, ttl: float, now: datetime) -> Replica:
    kind, name, queues, since = json.loads(value)
    seen = now - timedelta(seconds=TTL - ttl)
    return Replica(kind, name, tuple(queues), datetime.fromtimestamp(since, UTC), seen)
