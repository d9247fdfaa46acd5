"""The clock of beat, and the pulse by which one sees that a process does its work."""

import time
from typing import Any, Final

from celery.beat import Scheduler

# Longer than anything that is still well takes: a clock waits for a broker that is away, 10 s
# for each of its tasks.
_LONGEST: Final = 90.0


class Pulse:
    """When the main loop of a process last came round. A thread that merely lives says nothing."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def beat(self) -> None:
        """Say that the loop came round."""
        self._last = time.monotonic()

    def is_fresh(self) -> bool:
        """Tell whether the loop came round lately."""
        return time.monotonic() - self._last < _LONGEST


PULSE: Final = Pulse()


class Clock(Scheduler):
    """Celery's own scheduler, whose every tick is felt."""

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Run what is due; return seconds until the next tick."""
        PULSE.beat()
        return super().tick(*args, **kwargs)
