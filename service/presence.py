"""Which replicas are alive: each says so every few seconds, and who falls silent is gone."""

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

_EVERY: Final = 5.0  # seconds between two announcements
_GONE_AFTER: Final = 20  # seconds of silence
_PREFIX: Final = "waybill:presence:"


class Replica(NamedTuple):
    """One process of Waybill: when it was first and last heard of."""

    kind: str  # web, worker or beat
    name: str
    queues: tuple[str, ...]
    since: datetime
    seen: datetime


class Presence:
    """The replicas that were heard of lately."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._since = datetime.now(UTC)

    def announce(self, kind: str, name: str, queues: Sequence[str]) -> None:
        """Say that this replica is alive. Raises RedisError."""
        said = [kind, name, list(queues), self._since.timestamp(), datetime.now(UTC).timestamp()]
        self._redis.set(f"{_PREFIX}{kind}:{name}", json.dumps(said), ex=_GONE_AFTER)

    def alive(self) -> list[Replica]:
        """Return the replicas heard of within 20 seconds, by kind and name. Raises RedisError."""
        names = list(self._redis.scan_iter(match=f"{_PREFIX}*", count=1000))
        found = self._redis.mget(names) if names else []
        return sorted(_replica(json.loads(one)) for one in found if one is not None)


def _replica(said: list[object]) -> Replica:
    kind, name, queues, since, seen = said
    assert isinstance(queues, list)
    return Replica(str(kind), str(name), tuple(queues), _moment(since), _moment(seen))


def _moment(seconds: object) -> datetime:
    assert isinstance(seconds, float)
    return datetime.fromtimestamp(seconds, UTC)


def keep_announcing(presence: Presence, kind: str, name: str, queues: Sequence[str]) -> None:
    """Announce a replica for as long as its process lives."""

    def announce() -> None:
        while True:
            # Who cannot be heard is not there for those who look either.
            with suppress(RedisError):
                presence.announce(kind, name, queues)
            threading.Event().wait(_EVERY)

    threading.Thread(target=announce, name="presence", daemon=True).start()
