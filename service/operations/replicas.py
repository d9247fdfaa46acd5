"""Replicas that send heartbeats, and those that stopped a short time ago."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from service.components import components
from service.coordination.heartbeats import Replica

_CACHE_KEY: Final = "replicas"
# A replica that stopped is shown for this long.
_GONE_SHOWN: Final = timedelta(minutes=15)


class Replicas(NamedTuple):
    """Replicas with a current heartbeat, and those that stopped without signing off."""

    alive: list[Replica]
    gone: list[Replica]


def replicas(now: datetime) -> Replicas:
    """Return all replicas, and cache them so that those that stop are noticed."""
    alive = components().heartbeats.alive()
    names = {(replica.kind, replica.name) for replica in alive}
    [rows] = components().cache.read([_CACHE_KEY])
    cached = map(_from_row, rows or [])
    gone = sorted(
        replica
        for replica in cached
        if (replica.kind, replica.name) not in names and now - replica.seen < _GONE_SHOWN
    )
    rows = [_to_row(replica) for replica in (*alive, *gone)]
    components().cache.put({_CACHE_KEY: rows}, _GONE_SHOWN.total_seconds())
    return Replicas(alive, gone)


def _to_row(replica: Replica) -> list[Any]:
    times = replica.since.timestamp(), replica.seen.timestamp()
    return [replica.kind, replica.name, replica.queues, *times]


def _from_row(row: Sequence[Any]) -> Replica:
    kind, name, queues, since, seen = row
    times = (datetime.fromtimestamp(seconds, UTC) for seconds in (since, seen))
    return Replica(kind, name, tuple(queues), *times)
