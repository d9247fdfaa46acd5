"""Run a function in the background: a refresh must not delay the caller that needs it."""

import os
import time
import weakref
from collections.abc import Callable
from threading import Event, Lock, Thread


class BackgroundRun:
    """Runs a function in a thread of its own: one run at a time, and at most every `interval` s."""

    def __init__(self, function: Callable[[], None], interval: float) -> None:
        self._function = function
        self._interval = interval
        self._lock = Lock()
        self._next_at = float("-inf")
        self._ended = Event()
        self._ended.set()
        reference = weakref.WeakMethod(self._reset)
        # A forked process has no copy of the thread that runs.
        os.register_at_fork(after_in_child=lambda: (reset := reference()) and reset())

    def request(self) -> Event:
        """Start a run unless one is running or began a moment ago; return the event of its end."""
        if time.monotonic() < self._next_at:  # the common case takes no lock
            return self._ended
        with self._lock:
            now = time.monotonic()
            if now >= self._next_at and self._ended.is_set():
                self._next_at, self._ended = now + self._interval, Event()
                Thread(target=self._run, args=(self._ended,), daemon=True).start()
            return self._ended

    def _run(self, ended: Event) -> None:
        try:
            self._function()
        finally:
            ended.set()

    def _reset(self) -> None:
        self._lock = Lock()
        self._ended = Event()
        self._ended.set()
        self._next_at = float("-inf")
