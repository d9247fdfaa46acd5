"""The call slots of one process, shared so that endpoints that hang leave slots to the others."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import Any, Final, TypeVar
from uuid import UUID

from service.providers.call_slots import CallSlots

# Seconds. An endpoint whose last call took longer, or takes longer now, counts as slow.
_SLOW: Final = 1.0

_T = TypeVar("_T")


class EndpointSlots:
    """A fixed number of slots, of which one endpoint gets a quarter at most.

    Half of the slots is for the first call of each endpoint: endpoints that begin to hang together
    take the other half at most, and one slot each. Half is for endpoints that are not slow: those
    that hang for a while get no more than the other half, however many they are.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = CallSlots(count)
        self._most, self._half = max(1, count // 4), max(1, count // 2)
        self._clock = clock
        self._calls = dict[Future[Any], tuple[UUID, float]]()
        self._slow = set[UUID]()  # endpoints whose last call took long
        self._lock = Lock()

    def reserve(self) -> int:
        """Reserve all free slots; return how many."""
        return self._slots.reserve()

    def release(self, count: int) -> None:
        """Release reserved slots."""
        self._slots.release(count)

    def start(self, endpoint_id: UUID, call: Callable[[], _T]) -> "Future[_T]":
        """Start a call to an endpoint in a reserved slot, which is released when the call ends."""
        began = self._clock()
        future = self._slots.start(call)
        with self._lock:
            self._calls[future] = endpoint_id, began
        future.add_done_callback(self._note_end)
        return future

    def shares(
        self, waiting: Sequence[UUID], failing: Collection[UUID], free: int
    ) -> dict[UUID, int]:
        """Share free slots among waiting endpoints; return how many calls each may begin.

        Endpoints with the fewest calls under way come first, then those that come first in
        `waiting`. An endpoint that fails gets one call at a time.
        """
        calls, slow = self._under_way()
        slow |= set(failing)
        extra = self._half - sum(count - 1 for count in calls.values())
        for_slow = self._half - sum(count for id_, count in calls.items() if id_ in slow)
        turns = [(calls[id_], place, id_) for place, id_ in enumerate(waiting)]
        heapify(turns)
        shares = Counter[UUID]()
        while turns and free > 0:
            count, place, endpoint_id = heappop(turns)
            if count >= (1 if endpoint_id in failing else self._most):
                continue
            if (count and extra <= 0) or (endpoint_id in slow and for_slow <= 0):
                continue
            shares[endpoint_id] += 1
            free, extra = free - 1, extra - bool(count)
            for_slow -= endpoint_id in slow
            heappush(turns, (count + 1, place, endpoint_id))
        return dict(shares)

    def _under_way(self) -> tuple[Counter[UUID], set[UUID]]:
        """Return the number of calls under way to each endpoint, and the slow endpoints."""
        now = self._clock()
        with self._lock:
            calls = Counter(endpoint_id for endpoint_id, _ in self._calls.values())
            hanging = {id_ for id_, began in self._calls.values() if now - began > _SLOW}
            return calls, self._slow | hanging

    def _note_end(self, future: "Future[Any]") -> None:
        with self._lock:
            endpoint_id, began = self._calls.pop(future)
            if self._clock() - began > _SLOW:
                self._slow.add(endpoint_id)
            else:
                self._slow.discard(endpoint_id)
