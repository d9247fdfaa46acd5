"""Read in a thread, so that a server that hangs does not block the caller."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class BackgroundRead(Generic[_Value]):
    """The last value of a function that runs in one thread at a time.

    The times are monotonic; `error` is that of the last run, None if it succeeded.
    """

    def __init__(self, read: Callable[[], _Value], interval: float = 0.0) -> None:
        """Leave at least `interval` seconds between the beginnings of two runs."""
        self._read = read
        self._interval = interval
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self.began_at = self.ended_at = self.read_at = float("-inf")
        self.value: _Value | None = None
        self.error: Exception | None = None

    def start(self) -> None:
        """Run the function in a thread, unless it still runs or ran lately."""
        with self._lock:
            now = time.monotonic()
            if now - self.began_at < self._interval or not self._done.is_set():
                return
            self.began_at = now
            self._done.clear()
        threading.Thread(target=self._run, name="read", daemon=True).start()

    def wait(self, deadline: float) -> bool:
        """Wait for the end of the run until the deadline; return whether it ended."""
        return self._done.wait(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        try:
            self.value, self.error = self._read(), None
            self.read_at = time.monotonic()
        except Exception as error:
            self.error = error
        finally:
            self.ended_at = time.monotonic()
            self._done.set()
