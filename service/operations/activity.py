"""Counts of messages and callbacks for each minute of the last hour, cached for all replicas.

A whole hour in one query takes seconds at 1,000 callbacks/s, so minutes are counted one by one.
Counting stops after a time limit; the next overview continues.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from service.components import components
from service.queries import overview
from service.queries.overview import StatusCount

MINUTES: Final = 60
# Messages accepted in the last minutes still change their status: their counts expire sooner.
_RECENT_MINUTES: Final = 5
_RECENT_TTL: Final = 10
_TTL: Final = 60

COUNTERS: Final[dict[str, Callable[[datetime, datetime], list[StatusCount]]]] = {
    "messages": overview.count_messages,
    "callbacks": overview.count_callbacks,
}


class Minute(NamedTuple):
    """The counts of one minute; None: not counted yet."""

    start: datetime
    counts: list[StatusCount] | None


def last_hour(kind: str, now: datetime, deadline: float) -> list[Minute]:
    """Return the last 60 minutes, oldest first; `kind` is a name in `COUNTERS`.

    After `deadline` (monotonic) only the current minute is still counted.
    """
    current = now.replace(second=0, microsecond=0)
    starts = [current - timedelta(minutes=age) for age in range(MINUTES)]
    counts = _cached(kind, starts)
    for age, start in enumerate(starts):
        if counts[age] is not None:
            continue
        if age and time.monotonic() > deadline:
            break
        counts[age] = _count(kind, start, age)
    return [Minute(*pair) for pair in zip(starts, counts, strict=True)][::-1]


def _cached(kind: str, starts: Sequence[datetime]) -> list[list[StatusCount] | None]:
    """Return the cached counts. The current minute is never cached."""
    cached = components().cache.read([_key(kind, start) for start in starts[1:]])
    rows = (rows and [StatusCount(*row) for row in rows] for rows in cached)
    return [None, *rows]


def _count(kind: str, start: datetime, age: int) -> list[StatusCount]:
    counts = COUNTERS[kind](start, start + timedelta(minutes=1))
    if age:
        components().cache.put({_key(kind, start): counts}, _ttl(age))
    return counts


def _ttl(age: int) -> float:
    """Return for how many seconds to cache a count. Spread, so that not all expire together."""
    seconds = _RECENT_TTL if age < _RECENT_MINUTES else _TTL
    return seconds * (1 + age % 11 / 11)


def _key(kind: str, start: datetime) -> str:
    return f"{kind}:{start.astimezone(UTC):%H%M}"
