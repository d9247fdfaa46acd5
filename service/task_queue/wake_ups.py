"""Wakes a worker soon after there is work for it, and not on the caller's time."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

# So often a process asks at most. What comes meanwhile is asked for afterwards, never forgotten.
_PAUSE: Final = 0.03

_log = logging.getLogger(__name__)


class WakeUps:
    """Rung by whoever brings work; answered by one thread, some thirty times a second at most."""

    def __init__(self, answer: Callable[[], object]) -> None:
        """Call `answer` soon after each ring, once for many; what it raises is only logged."""
        self._answer = answer
        self._rung = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """Ask for an answer, and do not wait for it."""
        if not self._rung.is_set():
            self._rung.set()
            self._start()

    def _start(self) -> None:
        # Not when the bell is made: a process that is forked has none of its parent's threads.
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._rung.wait()
            # Before the answer: whoever rings from here on is answered the next time.
            self._rung.clear()
            try:
                self._answer()
            except Exception as error:
                _log.warning("nobody was woken (%s): the clock will do it", type(error).__name__)
            time.sleep(_PAUSE)
