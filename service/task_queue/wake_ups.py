"""Enqueues a task soon after it is requested, off the caller's time."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

# Seconds between two attempts of one process. Callbacks come by the thousand a second: a request
# sets an event (0.1 us), where a flag in Redis would cost each of them a round trip.
INTERVAL: Final = 0.05

_log = logging.getLogger(__name__)


class WakeUps:
    """Coalesces requests: one thread calls `wake` once for many of them.

    `wake` returns False where another process enqueued the task a moment ago: it is called again,
    because that task may have run its last query before the request.
    """

    def __init__(self, wake: Callable[[], bool]) -> None:
        self._wake = wake
        self._requested = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def request(self) -> None:
        """Request the task without waiting."""
        if not self._requested.is_set():
            self._requested.set()
            self._start()

    def _start(self) -> None:
        # On first use: threads of the parent do not exist in a forked process.
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._requested.wait()
            # Cleared before the call: a request during the call is answered by the next.
            self._requested.clear()
            try:
                if not self._wake():
                    self._requested.set()
            except Exception as error:
                _log.warning("could not enqueue (%s): beat will do it", type(error).__name__)
            time.sleep(INTERVAL)
