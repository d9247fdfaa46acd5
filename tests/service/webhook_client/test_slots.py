"""How the call slots of a process are shared among endpoints."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from uuid import UUID, uuid4

import pytest

from service.webhook_client.slots import EndpointSlots

SLOTS = 32


class Calls:
    """Calls to endpoints: some hang until the end of the test, others end immediately."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hanging = set[UUID]()
        self.began = Counter[UUID]()
        self.end = threading.Event()
        self.slots = EndpointSlots(SLOTS, lambda: self.now)

    def turn(self, waiting: Sequence[UUID], failing: Sequence[UUID] = ()) -> dict[UUID, int]:
        """Begin the calls of one claim, and await those that do not hang."""
        free = self.slots.reserve()
        shares = self.slots.shares(waiting, failing, free)
        self.slots.release(free - sum(shares.values()))
        ended = [self._begin(id_) for id_, count in shares.items() for _ in range(count)]
        wait([future for future in ended if future is not None])
        return shares

    def free(self) -> int:
        free = self.slots.reserve()
        self.slots.release(free)
        return free

    def _begin(self, endpoint_id: UUID) -> Future[object] | None:
        self.began[endpoint_id] += 1
        hangs = endpoint_id in self.hanging
        future = self.slots.start(endpoint_id, self.end.wait if hangs else lambda: True)
        return None if hangs else future


@pytest.fixture
def calls() -> Iterator[Calls]:
    calls = Calls()
    yield calls
    calls.end.set()


def endpoints(count: int) -> list[UUID]:
    return [uuid4() for _ in range(count)]


def test_ten_endpoints_that_begin_to_hang_leave_free_slots(calls: Calls) -> None:
    everyone = endpoints(100)
    calls.hanging = set(everyone[:10])
    for _ in range(40):  # all within the first second
        calls.turn(sorted(everyone, key=lambda id_: calls.began[id_]))
    assert calls.free() >= 4
    assert all(calls.began[id_] for id_ in everyone)


def test_endpoints_known_to_hang_take_half_of_the_slots(calls: Calls) -> None:
    everyone = endpoints(100)
    for id_ in everyone[:60]:
        calls.hanging = {id_}
        calls.turn([id_])
        calls.now += 2
        calls.end.set()
        wait([*calls.slots._calls])
        calls.end.clear()
    calls.hanging = set(everyone[:60])
    for _ in range(20):
        calls.turn(everyone)
    assert calls.free() == SLOTS // 2


def test_endpoint_that_is_fast_again_is_not_slow(calls: Calls) -> None:
    slow = endpoints(1)
    calls.hanging = set(slow)
    calls.turn(slow)
    calls.now += 2
    calls.end.set()
    wait([*calls.slots._calls])
    calls.hanging = set()
    calls.turn(slow)
    assert calls.slots._slow == set()


def test_large_backlogs_leave_the_next_turn_to_others(calls: Calls) -> None:
    backlogs, small = endpoints(4), endpoints(1)
    calls.hanging = set(backlogs)
    calls.turn(backlogs)
    assert calls.turn([*backlogs, *small])[small[0]] >= 1


def test_one_endpoint_gets_a_quarter_of_the_slots(calls: Calls) -> None:
    [alone] = endpoints(1)
    assert calls.turn([alone]) == {alone: SLOTS // 4}


def test_failing_endpoint_gets_one_call(calls: Calls) -> None:
    [failing, working] = endpoints(2)
    shares = calls.turn([failing, working], failing=[failing])
    assert shares == {failing: 1, working: SLOTS // 4}


def test_one_slot_serves_endpoints_in_turn() -> None:
    slots, everyone = EndpointSlots(1), endpoints(3)
    assert slots.shares(everyone, [], slots.reserve()) == {everyone[0]: 1}
