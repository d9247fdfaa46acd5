"""Measures drains of 16 streams on a cluster of three by 1, 2 and 4 status workers."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from threading import Event, Thread
from typing import Any, Final

from bench.databases import Databases
from bench.drain import await_workers, drain_once, running_stack, set_workers
from bench.inbox_cost import STREAMS
from bench.report import Row
from bench.rounds import scratch
from bench.waybill import ServingWaybill
from tests.cluster.redis_cluster import redis_cluster

_GROUP: Final = "recorders"
_WORKERS: Final = (1, 2, 4)
_INTERVAL: Final = 0.1
# Unread entries for each worker above which one without entries counts as idle.
_BACKLOG: Final = 2_000


class IdleWorkers:
    """Observes how often a worker has no entry in hand while others have a backlog."""

    def __init__(self, serving: ServingWaybill, workers: int) -> None:
        self._serving = serving
        self._workers = workers
        self._observations = 0
        self._busy = Counter[str]()

    @property
    def share(self) -> float:
        """Return the part of the observations in which the idlest worker had nothing, in %."""
        if not self._observations:
            return 0.0
        busy = sorted(self._busy.values(), reverse=True)[: self._workers]
        least = busy[-1] if len(busy) == self._workers else 0
        return 100 * (1 - least / self._observations)

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Observe in a thread until the end of the block."""
        stop = Event()

        def observe() -> None:
            while not stop.wait(_INTERVAL):
                self._observe()

        thread = Thread(target=observe)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _observe(self) -> None:
        pipe: Any = self._serving.redis.pipeline(transaction=False)
        for stream in self._serving.streams:
            pipe.xlen(stream)
            pipe.xpending(stream, _GROUP)
        answers = pipe.execute(raise_on_error=False)
        summaries = [each for each in answers[1::2] if isinstance(each, dict)]
        if sum(answers[::2]) - sum(each["pending"] for each in summaries) < (
            _BACKLOG * self._workers
        ):
            return
        self._observations += 1
        self._busy.update({each["name"] for found in summaries for each in found["consumers"]})


def rows(databases: Databases, count: int, rounds: int) -> Iterator[Row]:
    """Yield recorded callbacks per second, and how long the idlest worker had nothing to do."""
    with scratch() as directory, redis_cluster(directory / "cluster") as cluster:
        settings = {"INBOX_URL": cluster.url, "INBOX_STREAMS": str(STREAMS)}
        with (
            databases.fresh() as database,
            running_stack(directory / "stack", database, **settings) as serving,
        ):
            for workers in _WORKERS:
                set_workers(serving, workers)
                await_workers(serving, workers)
                yield from _drain(serving, workers, count, rounds)


def _drain(serving: ServingWaybill, workers: int, count: int, rounds: int) -> Iterator[Row]:
    drain_once(serving, count // 10)  # workers connect and prepare statements
    idle = IdleWorkers(serving, workers)
    rates = list[float]()
    for _ in range(rounds):
        rates.append(drain_once(serving, count, idle.observing))
    name = f"drain, {workers} status worker{'s'[: workers - 1]}, {STREAMS} streams"
    yield Row(name, median(rates), rounds=rates)
    yield Row(f"{name}: time of the idlest worker without entries", idle.share, "%")
