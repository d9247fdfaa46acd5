"""Count: what came in each minute of the last hour, a minute at a time, shared by all replicas.

No minute is counted twice within its time to live, and no request counts for longer than its
budget: what is not yet counted then is left out, and the next request, seconds later, goes on.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from service.extensions import parts
from service.store import overview
from service.store.overview import Count

MINUTES: Final = 60
# Seconds that one request may spend on counting each kind.
_BUDGET: Final = 0.02
# This minute is always counted anew: it still fills. Counts of those before it age in seconds.
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


def last_hour(kind: str, now: datetime) -> list[Minute]:
    """Return the minutes up to this one, oldest first; `kind` is a name in `COUNTERS`."""
    this = now.replace(second=0, microsecond=0)
    starts = [this - timedelta(minutes=ago) for ago in range(MINUTES)]
    known = parts().shelf.read([_name(kind, start) for start in starts])
    counts: list[list[Count] | None] = [
        None if age < _FRESH or one is None else [Count(*row) for row in one]
        for age, one in enumerate(known)
    ]
    _fill(kind, starts, counts)
    return [Minute(*pair) for pair in zip(starts, counts, strict=True)][::-1]


def _fill(kind: str, starts: Sequence[datetime], counts: list[list[Count] | None]) -> None:
    """Count what is missing, the newest first, until the budget is spent."""
    until = time.monotonic() + _BUDGET
    for age, start in enumerate(starts):
        if counts[age] is not None:
            continue
        if age >= _FRESH and time.monotonic() > until:
            return
        counted = COUNTERS[kind](start, start + timedelta(minutes=1))
        counts[age] = counted
        if age >= _FRESH:
            parts().shelf.put({_name(kind, start): counted}, _seconds(age))


def _seconds(age: int) -> float:
    """Return how long a count is good for; spread out, so that not all end together."""
    least = 10 if age < _YOUNG else 60
    return least * (1 + age % 11 / 11)


def _name(kind: str, start: datetime) -> str:
    return f"{kind}:{start.astimezone(UTC):%H%M}"
