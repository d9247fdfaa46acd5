"""Count: what came in each minute of the last hour, a minute at a time, shared by all replicas.

No minute is counted twice within its time to live, and nobody counts beyond the time that was
given: what is not yet counted then is left out, and the next look, seconds later, goes on.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from service.components import components
from service.queries import overview
from service.queries.overview import Count

MINUTES: Final = 60
# This minute is counted anew by every look: it still fills. Counts of those before it age.
_FRESH: Final = 1
# Until this many minutes after it, most of a minute's messages still move.
_YOUNG: Final = 5

_Counter = Callable[[datetime, datetime], list[Count]]
COUNTERS: Final[dict[str, _Counter]] = {
    "messages": overview.messages_between,
    "callbacks": overview.callbacks_between,
}


class Minute(NamedTuple):
    """What began in one minute; `counts` is None while nobody has counted it."""

    start: datetime
    counts: list[Count] | None


def last_hour(kind: str, now: datetime, until: float, at_least: int = _FRESH) -> list[Minute]:
    """Return the minutes up to this one, oldest first; `kind` is a name in `COUNTERS`.

    Once it is `until` (of the monotonic clock) only the `at_least` newest are still counted.
    """
    this = now.replace(second=0, microsecond=0)
    starts = [this - timedelta(minutes=ago) for ago in range(MINUTES)]
    known = components().cache.read([_name(kind, start) for start in starts])
    counts: list[list[Count] | None] = [
        None if age < _FRESH or one is None else [Count(*row) for row in one]
        for age, one in enumerate(known)
    ]
    _fill(kind, starts, counts, until, at_least)
    return [Minute(*pair) for pair in zip(starts, counts, strict=True)][::-1]


def _fill(
    kind: str,
    starts: Sequence[datetime],
    counts: list[list[Count] | None],
    until: float,
    at_least: int,
) -> None:
    """Count what is missing, the newest first, until time is up."""
    for age, start in enumerate(starts):
        if counts[age] is not None:
            continue
        if age >= at_least and time.monotonic() > until:
            return
        counted = COUNTERS[kind](start, start + timedelta(minutes=1))
        counts[age] = counted
        if age >= _FRESH:
            components().cache.put({_name(kind, start): counted}, _seconds(age))


def _seconds(age: int) -> float:
    """Return how long a count is good for; spread out, so that not all end together."""
    least = 10 if age < _YOUNG else 60
    return least * (1 + age % 11 / 11)


def _name(kind: str, start: datetime) -> str:
    return f"{kind}:{start.astimezone(UTC):%H%M}"
