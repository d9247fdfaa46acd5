"""Repeats the step of a task until nothing is left to do."""

import time
from collections.abc import Callable
from threading import BoundedSemaphore, Event


class RunOnce:
    """Repeats a step until it finds nothing to do, in `threads` threads of the process at most.

    A call while all are running returns immediately, and makes a run repeat its step: it finds
    whatever was committed before the call.
    """

    def __init__(self, threads: int = 1) -> None:
        self._requested = Event()
        self._running = BoundedSemaphore(threads)

    def run(self, step: Callable[[], bool], seconds: float) -> bool:
        """Call `step` while it returns True; return whether time ran out before."""
        until = time.monotonic() + seconds
        self._requested.set()
        while self._requested.is_set() and self._running.acquire(blocking=False):
            try:
                self._requested.clear()
                while step():
                    if time.monotonic() >= until:
                        return True
            finally:
                self._running.release()
            if time.monotonic() >= until:
                return self._requested.is_set()
        return False
