"""Which processes are alive: each says so in Redis every few seconds, and is forgotten soon after.

One key per replica, which expires by itself, and one sorted set that names them: to look is two
round trips, however many other keys there are.
"""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

# How often to announce, and after how long without an announcement a replica is gone, in seconds.
EVERY: Final = 5.0
GONE_AFTER: Final = 20.0

_NAMES: Final = "waybill:presence"
_KEY: Final = "waybill:presence:"
# More replicas than anybody runs; a page and a scrape read them all.
_MOST: Final = 1000

_log = logging.getLogger(__name__)


class Replica(NamedTuple):
    """One process of one kind: `web`, `worker` or `beat`."""

    kind: str
    name: str
    queues: tuple[str, ...]
    since: datetime  # when it began to announce itself, by its own clock
    seen: datetime  # its last announcement, by the clock of the reader


class Heartbeats:
    """Says that this process is alive, and tells which others are."""

    def __init__(self, redis: Redis) -> None:
        """Use a Redis of short timeouts: nobody may wait on an announcement."""
        self._redis = redis
        self._since = datetime.now(UTC)

    def announce(self, kind: str, name: str, queues: Sequence[str]) -> None:
        """Say that this process is alive. Does nothing while Redis is away."""
        member = f"{kind}:{name}"
        said = json.dumps([kind, name, list(queues), self._since.timestamp()])
        now = datetime.now(UTC).timestamp()
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(_KEY + member, said, px=int(GONE_AFTER * 1000))
        pipe.zadd(_NAMES, {member: now})
        # An hour: the clocks of hosts may differ, and the key decides who is alive.
        pipe.zremrangebyscore(_NAMES, "-inf", now - 3600)
        try:
            pipe.execute()
        except RedisError as error:
            _log.debug("nobody hears that we are alive (%s)", type(error).__name__)

    def leave(self, kind: str, name: str) -> None:
        """Say that this process ends in good order: it is gone at once."""
        try:
            self._redis.delete(f"{_KEY}{kind}:{name}")
        except RedisError as error:
            _log.debug("nobody hears that we leave (%s)", type(error).__name__)

    def alive(self) -> list[Replica]:
        """Return who announced itself within 20 s, by kind and name; nobody while Redis is away."""
        try:
            return sorted(self._alive())
        except RedisError as error:
            _log.warning("Redis does not say who is alive (%s)", type(error).__name__)
            return []

    def _alive(self) -> list[Replica]:
        members: Any = self._redis.zrevrange(_NAMES, 0, _MOST - 1)
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
        return [_replica(said, left / 1000, now) for said, left in pairs if said and left > 0]


def _replica(said: bytes, left: float, now: datetime) -> Replica:
    kind, name, queues, since = json.loads(said)
    seen = now - timedelta(seconds=GONE_AFTER - left)
    return Replica(kind, name, tuple(queues), datetime.fromtimestamp(since, UTC), seen)
