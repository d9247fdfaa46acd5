"""Sweep: do a long piece of work in short transactions."""

import time
from collections.abc import Callable
from typing import Final

# Rows in one transaction: what it locks, it locks for a fraction of a second.
BATCH: Final = 500
# Then the next tick goes on, and other maintenance has its turn.
_LONGEST: Final = 5.0


def sweep(batch: Callable[[], int]) -> int:
    """Call `batch` until it finds fewer than a batch, or time is up; return how many it did."""
    until, done = time.monotonic() + _LONGEST, 0
    while time.monotonic() < until:
        count = batch()
        done += count
        if count < BATCH:
            break
    return done
