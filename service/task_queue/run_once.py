"""Runs work in one thread of a process at a time, without losing a request."""

import time
from collections.abc import Callable
from threading import Event, Lock


class RunOnce:
    """Repeats a step until it finds nothing to do, in one thread of the process.

    A call during a run returns immediately, and makes the run repeat its step: it finds whatever
    was committed before the call.
    """

    def __init__(self) -> None:
        self._requested = Event()
        self._running = Lock()

    def run(self, step: Callable[[], bool], seconds: float) -> bool:
        """Call `step` while it returns True; return whether time ran out before it did not."""
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
        return False
