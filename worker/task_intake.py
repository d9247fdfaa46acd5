"""Tells whether a worker takes tasks: one that stopped taking them looks alive otherwise."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitOpen

# Longer than any task takes and than a worker needs to connect again, in seconds.
_LONGEST: Final = 60.0


class Intake:
    """Whether this worker takes tasks while some wait on its queues."""

    def __init__(self) -> None:
        self._count: Callable[[str], int] = lambda _queue: 0
        self._queues: Sequence[str] = ()
        self._stuck_since: float | None = None

    def watch(self, count: Callable[[str], int], queues: Sequence[str]) -> None:
        """Watch these queues; `count` returns how many tasks wait on one, or raises RedisError."""
        self._count, self._queues = count, queues

    def took(self) -> None:
        """Note that a task began."""
        self._stuck_since = None

    def look(self) -> None:
        """Look at the queues. Call this every few seconds."""
        if not self._tasks_wait():
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = time.monotonic()

    def is_working(self) -> bool:
        """Tell whether a task began, or none waited, within the last minute."""
        since = self._stuck_since
        return since is None or time.monotonic() - since < _LONGEST

    def _tasks_wait(self) -> bool:
        try:
            return any(self._count(queue) for queue in self._queues)
        except (RedisError, CircuitOpen):
            return False  # no task can be taken from a Redis that is away


INTAKE: Final = Intake()
