"""Limit the concurrent provider calls of one process."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

_T = TypeVar("_T")


class CallSlots:
    """A fixed number of slots, each with a thread. Reserve a slot before starting a call."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = Lock()
        # It starts threads when they are first needed: a forked process has none.
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="provider-call")

    def reserve(self) -> int:
        """Reserve all free slots; return how many."""
        with self._lock:
            reserved, self._free = self._free, 0
            return reserved

    def release(self, count: int) -> None:
        """Release reserved slots."""
        with self._lock:
            self._free += count

    def start(self, call: Callable[[], _T]) -> "Future[_T]":
        """Start a call in a reserved slot; the slot is released when the call ends."""
        future = self._threads.submit(call)
        future.add_done_callback(lambda _: self.release(1))
        return future
