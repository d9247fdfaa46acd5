"""Run long work in short transactions."""

import time
from collections.abc import Callable
from typing import Final

# Rows in one transaction, so that it holds its locks for a fraction of a second.
BATCH: Final = 500
# Seconds; the next run continues, and other maintenance tasks run in between.
_MAX_DURATION: Final = 5.0


def sweep(batch: Callable[[], int]) -> int:
    """Call `batch` until it processes fewer rows than a batch or time is up; return the total."""
    until, done = time.monotonic() + _MAX_DURATION, 0
    while time.monotonic() < until:
        count = batch()
        done += count
        if count < BATCH:
            break
    return done
