from collections.abc import Callable
from threading import Event

from service.task_queue.wake_ups import WakeUps


class Calls:
    """A `wake` that blocks until it may go on, and counts its calls."""

    def __init__(self, outcome: Callable[[], bool] = lambda: True) -> None:
        self.number, self.begun, self.go_on = 0, Event(), Event()
        self._outcome = outcome

    def __call__(self) -> bool:
        self.number += 1
        self.begun.set()
        self.go_on.wait(5)
        return self._outcome()

    def next_begins(self) -> bool:
        begun = self.begun.wait(5)
        self.begun.clear()
        return begun


def test_request_wakes_soon() -> None:
    calls = Calls()
    WakeUps(calls).request()
    assert calls.next_begins()


def test_request_during_a_wake_up_causes_another() -> None:
    """The last callback of a burst comes while the task that misses it is being enqueued."""
    calls = Calls()
    wake_ups = WakeUps(calls)
    wake_ups.request()
    assert calls.next_begins()
    wake_ups.request()
    calls.go_on.set()
    assert calls.next_begins()


def test_many_requests_cause_one_wake_up() -> None:
    calls = Calls()
    wake_ups = WakeUps(calls)
    wake_ups.request()
    assert calls.next_begins()
    for _ in range(1000):
        wake_ups.request()
    calls.go_on.set()
    assert calls.next_begins()
    assert calls.number == 2


def test_refused_wake_up_is_repeated() -> None:
    """Another process enqueued the task a moment ago: its last query may be over."""
    outcomes = iter([False, False, True])
    calls = Calls(lambda: next(outcomes, True))
    calls.go_on.set()
    WakeUps(calls).request()
    assert [calls.next_begins() for _ in range(3)] == [True] * 3


def test_failed_wake_up_does_not_end_the_thread() -> None:
    failures = iter([OSError("no Redis")])

    def outcome() -> bool:
        for failure in failures:
            raise failure
        return True

    calls = Calls(outcome)
    calls.go_on.set()
    wake_ups = WakeUps(calls)
    wake_ups.request()
    assert calls.next_begins()
    wake_ups.request()
    assert calls.next_begins()
