"""Liveness: a worker that starts no tasks while some wait is unhealthy; an idle worker is not."""

import time

import pytest

from service.task_queue.queue import BrokerUnavailable
from worker import liveness as module
from worker.liveness import Liveness

TASKS = {"send": 0, "status": 0}


@pytest.fixture
def liveness(monkeypatch: pytest.MonkeyPatch) -> Liveness:
    """A worker with two empty queues, which may not leave a task waiting."""
    monkeypatch.setattr(module, "_TASK_START_TIMEOUT", 0.0)
    for queue in TASKS:
        monkeypatch.setitem(TASKS, queue, 0)
    liveness = Liveness()
    liveness.tick()
    liveness.watch_queues(TASKS.__getitem__, ["send", "status"])
    return liveness


def test_worker_with_empty_queues_is_healthy(liveness: Liveness) -> None:
    assert liveness.check()
    assert liveness.problem() is None


@pytest.mark.parametrize("queue", ["send", "status"])
def test_worker_that_starts_no_task_is_unhealthy(liveness: Liveness, queue: str) -> None:
    TASKS[queue] = 1
    assert not liveness.check()
    assert liveness.problem() == "tasks wait, but no task has started for 0 s"


def test_worker_is_healthy_until_the_timeout(
    liveness: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TASK_START_TIMEOUT", 60.0)
    TASKS["send"] = 1
    assert liveness.check()
    assert liveness.check()


def test_worker_that_starts_a_task_is_healthy_again(liveness: Liveness) -> None:
    TASKS["send"] = 1
    liveness.check()
    liveness.task_started()
    assert liveness.problem() is None


def test_worker_is_healthy_after_another_one_empties_the_queue(liveness: Liveness) -> None:
    TASKS["send"] = 1
    liveness.check()
    TASKS["send"] = 0
    assert liveness.check()


def test_worker_without_broker_is_healthy(liveness: Liveness) -> None:
    TASKS["send"] = 1
    liveness.check()

    def unavailable(_queue: str) -> int:
        raise BrokerUnavailable

    liveness.watch_queues(unavailable, ["send"])
    assert liveness.check()


def test_process_before_its_first_tick_is_unhealthy() -> None:
    assert Liveness().problem() == "the main loop has not run for 90 s"


def test_process_whose_main_loop_hangs_is_unhealthy(liveness: Liveness) -> None:
    liveness._ticked_at = time.monotonic() - 91
    assert not liveness.check()
    liveness.tick()
    assert liveness.check()
