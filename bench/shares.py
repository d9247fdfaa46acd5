"""Simulates consumers of many streams: what each stream, node and consumer gets of the work.

The inbox is that of the service, on one Redis; only the time is simulated. A consumer that took a
batch is busy for as long as a worker with one core needs for it.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final
from uuid import UUID

from redis import Redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from bench.report import Row
from bench.rounds import scratch
from demo.servers import redis_server
from service.inbox.entry import Entry
from service.inbox.inbox import Inbox
from service.inbox.stream_names import stream_names
from service.providers.base import Callback
from service.redis_client.fast_client import FastClient

STREAMS: Final = 16
CONSUMERS: Final = 8
NODES: Final = (2, 3, 4, 8, 16)
# Callbacks that one of the simulation stands for: it costs as much, and a batch has as many fewer.
_STANDS_FOR: Final = 20
# Of a worker with a core of its own (docs/performance.md).
_SECONDS_PER_CALLBACK: Final = 45e-6 * _STANDS_FOR
_SECONDS_PER_BATCH: Final = 0.005
_LINGER: Final = 0.05
_BATCH: Final = 2_000 // _STANDS_FOR
_TICK: Final = 0.01
_LIMIT: Final = 10_000_000


@dataclass
class Shares:
    """How many callbacks each component had, and how long they waited."""

    streams: Counter[int] = field(default_factory=Counter)
    consumers: Counter[int] = field(default_factory=Counter)
    waits: dict[int, list[float]] = field(default_factory=dict)  # seconds, by stream
    idle_beside_backlog: int = 0  # reads that found nothing while entries waited

    def busiest_consumer(self) -> float:
        """Return the part of the busiest consumer, as a multiple of an equal part."""
        return _over_mean(self.consumers.values(), CONSUMERS)

    def busiest_stream(self) -> float:
        """Return the part of the busiest stream, as a multiple of an equal part."""
        return _over_mean(self.streams.values(), STREAMS)

    def busiest_node(self, nodes: int) -> float:
        """Return the part of the busiest of `nodes` nodes, as a multiple of an equal part."""
        parts = Counter[int]()
        for stream, count in self.streams.items():
            parts[node_of(stream, nodes)] += count
        return _over_mean(parts.values(), nodes)

    def slowest_stream(self) -> float:
        """Return the mean wait in the slowest stream, as a multiple of the mean of all."""
        means = [sum(waits) / len(waits) for waits in self.waits.values()]
        everything = [wait for waits in self.waits.values() for wait in waits]
        return max(means) * len(everything) / sum(everything)


def node_of(stream: int, nodes: int) -> int:
    """Return the number of the node of a stream, if each node has an equal range of slots."""
    slot: int = key_slot(stream_names()[stream].encode())
    return slot * nodes // REDIS_CLUSTER_HASH_SLOTS


class Simulation:
    """Producers and consumers of one inbox, and the simulated time."""

    def __init__(self, redis: Redis, batch: int = _BATCH) -> None:
        """Create the consumers; each takes up to `batch` entries at a time."""
        self._batch = batch
        fast = FastClient(redis)
        self._inboxes = [Inbox(redis, fast, _LIMIT, STREAMS) for _ in range(CONSUMERS)]
        self._events = list[tuple[float, int, int, list[Entry]]]()
        self._numbers = itertools.count()
        self._arrived_at = dict[str, float]()
        self._waiting = 0
        self.shares = Shares()

    def run(self, attempts: Sequence[str], utilisation: float) -> Shares:
        """Store a callback about each attempt, and record it.

        They arrive at `utilisation` times the rate at which the consumers can record.
        """
        count, rate = len(attempts), utilisation * CONSUMERS / _SECONDS_PER_CALLBACK
        for consumer in range(CONSUMERS):
            self._at(0.0, consumer, [])
        tick, arrived, recorded = 0, 0, 0
        while recorded < count:
            while arrived < count and tick * _TICK <= self._events[0][0]:
                tick += 1
                until = min(count, int(rate * tick * _TICK))
                for number in range(arrived, until):
                    self._arrive(attempts[number], number / rate)
                arrived = max(arrived, until)
            now, _, consumer, done = heapq.heappop(self._events)
            recorded += self._finish(consumer, done)
            self._begin(now, consumer)
        return self.shares

    def _arrive(self, attempt: str, now: float) -> None:
        body = f"{attempt}{next(self._numbers)}".encode()
        self._inboxes[0].put(Callback("twilio", attempt, body, datetime.now(UTC)))
        self._arrived_at[body.decode()] = now
        self._waiting += 1

    def _begin(self, now: float, consumer: int) -> None:
        """Take a batch for a consumer, or look again later."""
        inbox, name = self._inboxes[consumer], str(consumer)
        # The first read of a stream only creates its consumer group.
        batch = inbox.take(name, self._batch, linger=0) or inbox.take(name, self._batch, linger=0)
        if not batch:
            self.shares.idle_beside_backlog += self._waiting > 0
            self._at(now + _LINGER, consumer, [])
            return
        self._waiting -= len(batch)
        self._at(now + _SECONDS_PER_BATCH + len(batch) * _SECONDS_PER_CALLBACK, consumer, batch)
        for entry in batch:
            wait = now - self._arrived_at.pop(entry.callback.body.decode())
            self.shares.waits.setdefault(entry.stream, []).append(wait)

    def _finish(self, consumer: int, batch: Sequence[Entry]) -> int:
        """Acknowledge a batch that a consumer has recorded; return its size."""
        self._inboxes[consumer].ack(batch)
        self.shares.consumers[consumer] += len(batch)
        self.shares.streams.update(entry.stream for entry in batch)
        return len(batch)

    def _at(self, when: float, consumer: int, done: list[Entry]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), consumer, done))


def attempts(count: int) -> list[str]:
    """Return attempt ids that are the same in each run."""
    randomness = Random(1)  # noqa: S311 - no secret
    return [str(UUID(int=randomness.getrandbits(128))) for _ in range(count)]


def rows(count: int) -> Iterator[Row]:
    """Yield what the busiest of each kind has: spread evenly, in one stream, and overloaded."""
    even, overloaded = (_simulate(attempts(count), load) for load in (0.8, 1.2))
    for name, share in (
        (f"busiest of {STREAMS} streams", even.busiest_stream()),
        *((f"busiest of {nodes} nodes", even.busiest_node(nodes)) for nodes in NODES),
        (f"busiest of {CONSUMERS} consumers", even.busiest_consumer()),
        (
            f"busiest of {CONSUMERS} consumers, all in one stream",
            _simulate(attempts(1) * count, 0.8).busiest_consumer(),
        ),
        ("wait in the slowest stream, overloaded", overloaded.slowest_stream()),
    ):
        yield Row(f"shares: {name} / mean", share, "x")
    idle = even.idle_beside_backlog
    yield Row("shares: consumers that waited while entries did", idle, "", 0, at_most=True)


def _simulate(attempts: Sequence[str], utilisation: float) -> Shares:
    with scratch() as directory, redis_server(directory / "redis") as server:
        return Simulation(Redis.from_url(server.url)).run(attempts, utilisation)


def _over_mean(parts: Iterable[int], number: int) -> float:
    values = list(parts)
    return float(max(values) * number / sum(values))
