"""Liveness of a worker or of beat: its main loop runs, and a worker starts the tasks that wait.

The mere existence of a process or a thread says nothing about either.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from service.task_queue.queue import BrokerUnavailable

# Seconds. While its broker is down, beat waits up to 10 s for each of its tasks.
_MAIN_LOOP_TIMEOUT: Final = 90.0
# Seconds. Longer than any task takes and than a worker needs to reconnect.
_TASK_START_TIMEOUT: Final = 60.0


class Liveness:
    """What this process last did, and whether that is recent enough."""

    def __init__(self) -> None:
        self._ticked_at = float("-inf")
        self._count_tasks: Callable[[str], int] = lambda _queue: 0
        self._queues: Sequence[str] = ()
        self._waiting_since: float | None = None

    def tick(self) -> None:
        """Record that the main loop runs."""
        self._ticked_at = time.monotonic()

    def task_started(self) -> None:
        """Record that this worker started a task."""
        self._waiting_since = None

    def watch_queues(self, count_tasks: Callable[[str], int], queues: Sequence[str]) -> None:
        """Expect tasks to start while `count_tasks` returns more than 0 for one of the queues."""
        self._count_tasks, self._queues = count_tasks, queues

    def check(self) -> bool:
        """Count the waiting tasks and return whether the process is healthy."""
        if not self._tasks_wait():
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
        return self.problem() is None

    def problem(self) -> str | None:
        """Return what is wrong, or None. Only check() counts the waiting tasks."""
        now = time.monotonic()
        if now - self._ticked_at >= _MAIN_LOOP_TIMEOUT:
            return f"the main loop has not run for {_MAIN_LOOP_TIMEOUT:.0f} s"
        if self._waiting_since and now - self._waiting_since >= _TASK_START_TIMEOUT:
            return f"tasks wait, but no task has started for {_TASK_START_TIMEOUT:.0f} s"
        return None

    def _tasks_wait(self) -> bool:
        try:
            return any(self._count_tasks(queue) for queue in self._queues)
        except BrokerUnavailable:
            return False  # without the broker no task can start


LIVENESS: Final = Liveness()
