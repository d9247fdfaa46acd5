"""When to repeat a request, and when to give up: the rules of docs/integrating.md."""

import random
from collections.abc import Callable
from time import monotonic, sleep
from typing import Final

from waybill_client.errors import NoAnswer, Problem, WaybillError

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
# Clients that failed together must not all come back together.
_JITTER: Final = 0.25
# 502 and 504 come from proxies in front of Waybill.
_UNAVAILABLE: Final = frozenset({502, 503, 504})


class Attempts:
    """The attempts of one call. `deadline` and pauses are in seconds."""

    def __init__(self, deadline: float, wait: Callable[[float], object] | None = None) -> None:
        self._until = monotonic() + deadline
        self._wait = wait
        self._pause = _FIRST_PAUSE
        self.failed = 0
        self._server_errors = 0

    @property
    def remaining(self) -> float:
        """Return the seconds until the deadline."""
        return self._until - monotonic()

    def again(self, error: WaybillError, *, repeatable: bool) -> None:
        """Pause before the next attempt. Raises `error` if there must be none."""
        self.failed += 1
        if not self._may_repeat(error, repeatable):
            raise error
        pause = self._next_pause(error)
        if pause >= self.remaining:
            raise error
        (self._wait or sleep)(pause)

    def _may_repeat(self, error: WaybillError, repeatable: bool) -> bool:
        if isinstance(error, NoAnswer):
            return repeatable or not error.received
        if not isinstance(error, Problem):
            return False
        if error.status == 429:
            return True
        if error.status == 500:  # once: the next attempt would fail in the same way
            self._server_errors += 1
            return repeatable and self._server_errors == 1
        return repeatable and error.status in _UNAVAILABLE

    def _next_pause(self, error: WaybillError) -> float:
        retry_after = error.retry_after if isinstance(error, Problem) else None
        pause = self._pause if retry_after is None else retry_after
        self._pause = min(max(pause, _FIRST_PAUSE) * 2, _LONGEST_PAUSE)
        return pause * random.uniform(1, 1 + _JITTER)  # noqa: S311 - no secret
