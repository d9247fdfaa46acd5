"""When a delivery that failed is tried again, and when an endpoint is called again."""

import random
from datetime import timedelta
from typing import Final

# The schedule that Standard Webhooks proposes, over about three days.
_DELAYS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
_JITTER: Final = 0.2
_LONGEST_PAUSE: Final = 300.0
#: A longer time in Retry-After counts as this: one wrong header must not hold events for days.
LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
#: An endpoint that only fails for so long is disabled.
PATIENCE: Final = timedelta(days=5)


def next_delay(attempts: int) -> timedelta | None:
    """Return the pause after so many attempts at a delivery; None after the last."""
    if attempts > len(_DELAYS):
        return None
    return _DELAYS[attempts - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)


def pause(failures: int) -> timedelta:
    """Return how long to leave an endpoint alone after so many failures in a row."""
    longest = min(_LONGEST_PAUSE, 2.0 ** min(failures - 1, 10))
    return timedelta(seconds=random.uniform(longest / 2, longest))
