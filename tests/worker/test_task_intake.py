"""A worker that takes no task while some wait is not well, and one with nothing to take is."""

import pytest
from redis.exceptions import RedisError

from worker import task_intake
from worker.task_intake import Intake

WAITING = {"send": 0, "status": 0}


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Intake:
    """An intake over two empty queues, whose minute is over at once."""
    monkeypatch.setattr(task_intake, "_LONGEST", 0.0)
    for queue in WAITING:
        monkeypatch.setitem(WAITING, queue, 0)
    made = Intake()
    made.watch(WAITING.__getitem__, ["send", "status"])
    return made


def test_worker_with_empty_queues_is_well(worker: Intake) -> None:
    worker.look()
    assert worker.is_working()


@pytest.mark.parametrize("queue", ["send", "status"])
def test_worker_that_takes_nothing_is_not_well(worker: Intake, queue: str) -> None:
    WAITING[queue] = 1
    worker.look()
    assert not worker.is_working()


def test_worker_is_well_until_the_time_is_up(
    worker: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_intake, "_LONGEST", 60.0)
    WAITING["send"] = 1
    worker.look()
    worker.look()
    assert worker.is_working()


def test_worker_that_takes_a_task_is_well_again(worker: Intake) -> None:
    WAITING["send"] = 1
    worker.look()
    worker.took()
    assert worker.is_working()


def test_queue_that_another_worker_emptied_is_no_complaint(worker: Intake) -> None:
    WAITING["send"] = 1
    worker.look()
    WAITING["send"] = 0
    worker.look()
    assert worker.is_working()


def test_worker_whose_redis_is_away_is_well(worker: Intake) -> None:
    WAITING["send"] = 1
    worker.look()

    def away(_queue: str) -> int:
        raise RedisError

    worker.watch(away, ["send"])
    worker.look()
    assert worker.is_working()
