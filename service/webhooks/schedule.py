"""When a delivery that failed is tried again, and when an endpoint is called again."""

import random
from datetime import timedelta
from typing import Final

# The schedule that Standard Webhooks proposes, over about three days.
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
_DELAYS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
_JITTER: Final = 0.2
_LONGEST_PAUSE: Final = 300.0
# A longer time in Retry-After counts as this: one wrong header must not hold events for days.
_LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
#: One event fails this often before it is given up. More failures are those of the endpoint.
MOST_ATTEMPTS: Final = len(_DELAYS) + 1
#: An endpoint is disabled that only fails for so long, and in more calls than two events get.
DISABLE_AFTER: Final = timedelta(days=5)
DISABLE_FAILURES: Final = 2 * MOST_ATTEMPTS


def next_delay(attempts: int, retry_after: float | None = None) -> timedelta | None:
    """Return the delay after so many attempts at a delivery; None after the last.

    `retry_after` are the seconds that the endpoint asked for: the delay is not shorter.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    delay = _DELAYS[attempts - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)
    return max(delay, _bounded(retry_after))


def pause(failures: int, retry_after: float | None = None) -> timedelta:
    """Return how long to leave an endpoint alone after so many failures in a row."""
    longest = min(_LONGEST_PAUSE, 2.0 ** min(failures - 1, 10))
    return max(timedelta(seconds=random.uniform(longest / 2, longest)), _bounded(retry_after))


def _bounded(retry_after: float | None) -> timedelta:
    return min(timedelta(seconds=retry_after or 0.0), _LONGEST_RETRY_AFTER)
