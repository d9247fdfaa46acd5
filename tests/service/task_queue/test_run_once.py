from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Semaphore

from hypothesis import given
from hypothesis import strategies as st

from service.task_queue.run_once import RunOnce


def test_step_repeats_until_nothing_is_left() -> None:
    steps = iter([True, True, False])
    assert RunOnce().run(lambda: next(steps), seconds=5) is False
    assert list(steps) == []


def test_run_ends_when_time_is_up() -> None:
    steps = list[int]()
    assert RunOnce().run(lambda: not steps.append(1), seconds=0) is True
    assert steps == [1]


def test_failed_step_frees_the_run() -> None:
    run_once, steps = RunOnce(), iter([ZeroDivisionError()])

    def step() -> bool:
        for error in steps:
            raise error
        return False

    try:
        run_once.run(step, seconds=5)
    except ZeroDivisionError:
        assert run_once.run(step, seconds=5) is False


def test_call_during_a_run_returns_and_repeats_the_step() -> None:
    """The running step may have run its last query before the call."""
    run_once, steps, queried, go_on = RunOnce(), list[int](), Event(), Event()

    def step() -> bool:
        steps.append(1)
        queried.set()
        go_on.wait(5)
        return False

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_once.run, step, 5)
        assert queried.wait(5)
        assert run_once.run(step, 5) is False, "it returns immediately"
        assert len(steps) == 1
        go_on.set()
        running.result()
    assert len(steps) == 2


def test_as_many_threads_run_as_may() -> None:
    run_once, running, go_on = RunOnce(threads=2), Semaphore(0), Event()

    def step() -> bool:
        running.release()
        go_on.wait(5)
        return False

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run_once.run, step, 5) for _ in range(2)]
        assert all(running.acquire(timeout=5) for _ in runs)
        assert run_once.run(step, 5) is False, "the third returns"
        go_on.set()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_no_work_is_left_and_no_step_runs_beside_another(arrivals: list[int]) -> None:
    """Each caller adds work and then calls run, as producers do."""
    run_once, pending, alone = RunOnce(), list[int](), Lock()

    def step() -> bool:
        assert alone.acquire(blocking=False)
        count = len(pending)
        del pending[:count]
        alone.release()
        return bool(count)

    def produce(count: int) -> None:
        pending.extend(range(count))
        run_once.run(step, 5)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(produce, arrivals))
    assert pending == []
