"""The lines to the providers: so many calls at once in one process, and no more."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

_T = TypeVar("_T")


class CallSlots:
    """Threads that wait for answers. Whoever reserves a line may start one call on it."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = Lock()
        # Starts a thread when it is first needed: a process that is forked brings none along.
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="line")

    def reserve(self) -> int:
        """Reserve every line that is free; return how many."""
        with self._lock:
            reserved, self._free = self._free, 0
            return reserved

    def release(self, count: int) -> None:
        """Give lines back that were reserved and are not needed."""
        with self._lock:
            self._free += count

    def start(self, call: Callable[[], _T]) -> "Future[_T]":
        """Start a call on a reserved line, which is free again when the call has ended."""
        future = self._threads.submit(call)
        future.add_done_callback(lambda _: self.release(1))
        return future
