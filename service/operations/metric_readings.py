"""Gauges read from the database and Redis: backlog, ages and live processes.

A scrape never waits long for a store and never fails with one. The first scrape after
`READ_INTERVAL` starts a thread that reads the store again. Meanwhile scrapes show the last
readings, up to the age of `MAX_AGE`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.components import Components
from service.database.replica import RECENT, ReplicaUnusable, from_replica, measure_lag
from service.domain.scope import HoldKind, Scope
from service.inbox.streams import StreamFigures
from service.operations.background_read import BackgroundRead
from service.operations.gauges import (
    AGE,
    ALIVE,
    DEAD_LETTERS,
    DUE,
    DUE_AGE,
    FEED_DELAY,
    GAUGES,
    HELD,
    HOLDS,
    IN_DOUBT,
    INBOX,
    INBOX_AGE,
    INBOX_STREAM,
    INBOX_STREAM_AGE,
    OVERDUE,
    OVERFLOW,
    OVERFLOW_AGE,
    QUEUE,
    QUEUE_AGE,
    QUEUE_READERS,
    REPLICA_LAG,
    UP,
    WEBHOOK_ENDPOINTS,
    WEBHOOKS_DUE_AGE,
    WEBHOOKS_OWED,
    Reading,
)
from service.queries import backlog, due_webhooks, events, held_messages, holds
from service.queries.backlog import COUNT_LIMIT
from service.queries.due_webhooks import STATES, EndpointState
from service.task_queue.queue import ROUTES

READ_INTERVAL: Final = 5.0  # seconds
MAX_AGE: Final = 30.0  # seconds
# Seconds that a scrape waits for readings; it should take at most 300 ms on a busy machine.
_READ_TIMEOUT: Final = 0.1
KINDS: Final = ("web", "worker", "beat")
_QUEUES: Final = sorted(set(ROUTES.values()))


_log = logging.getLogger(__name__)


class Readings(Collector):
    """Collects the gauges of all stores; one for each application."""

    def __init__(self, parts: Components) -> None:
        readers: dict[str, Callable[[Components], Iterable[Reading]]]
        readers = {"database": _read_database, "redis": _read_redis}
        if parts.settings.broker_url is not None:
            readers["broker"] = _read_broker
        if parts.settings.database_read_url is not None:
            readers["replica"] = _read_replica
        self._stores = {
            store: BackgroundRead(partial(_read, store, reader, parts), READ_INTERVAL)
            for store, reader in readers.items()
        }

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering this collector reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge that has a value."""
        deadline = time.monotonic() + _READ_TIMEOUT
        for read in self._stores.values():
            read.start()
        readings = [
            reading
            for store, read in self._stores.items()
            for reading in _last_readings(store, read, deadline)
        ]
        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
            for reading in readings:
                if reading.gauge is gauge:
                    family.add_metric(reading.labels, reading.value)
            if family.samples:
                yield family


def _last_readings(
    store: str, read: BackgroundRead[list[Reading]], deadline: float
) -> Iterator[Reading]:
    read.wait(deadline)
    readings, age = read.value, time.monotonic() - read.read_at
    yield Reading(UP, (store,), float(readings is not None and read.error is None))
    if readings is not None and age < MAX_AGE:
        yield Reading(AGE, (store,), age)
        yield from readings


def _read(
    store: str, reader: Callable[[Components], Iterable[Reading]], parts: Components
) -> list[Reading]:
    try:
        return list(reader(parts))
    except Exception as error:
        # waybill_store_up reports it, and a later scrape reads again.
        _log.warning("cannot read gauges from %s (%s)", store, type(error).__name__)
        raise


def _read_database(parts: Components) -> list[Reading]:
    with parts.context():
        return _database_readings(parts)


@from_replica(max_lag=RECENT)
def _database_readings(parts: Components) -> list[Reading]:
    now = datetime.now(UTC)
    backlogs = backlog.measure(now)
    hidden_since = events.hidden_since(events.end())
    delay = (now - hidden_since).total_seconds() if hidden_since else 0.0
    return [
        *_holds(holds.count_active(), parts),
        *_webhook_endpoints(due_webhooks.endpoint_states(now), now),
        Reading(WEBHOOKS_OWED, (), due_webhooks.count_owed(COUNT_LIMIT)),
        Reading(HELD, (), held_messages.count_held(COUNT_LIMIT)),
        Reading(FEED_DELAY, (), max(0.0, delay)),
        Reading(DUE, (), backlogs.due.size),
        Reading(DUE_AGE, (), backlogs.due.age(now)),
        Reading(IN_DOUBT, ("answer",), backlogs.in_doubt.size - backlogs.undecided.size),
        Reading(IN_DOUBT, ("person",), backlogs.undecided.size),
        Reading(OVERDUE, (), backlogs.expired_claims.size),
        Reading(OVERFLOW, (), backlogs.overflow.size),
        Reading(OVERFLOW_AGE, (), backlogs.overflow.age(now)),
        Reading(DEAD_LETTERS, (), backlogs.dead_letters.size),
    ]


def _read_replica(parts: Components) -> list[Reading]:
    with parts.context():
        lag = measure_lag()
    if lag is None:
        raise ReplicaUnusable
    return [Reading(REPLICA_LAG, (), lag)]


def _holds(active: Mapping[tuple[str, str, str], int], parts: Components) -> Iterator[Reading]:
    """Yield the number of holds. Without a hold, accounts show 0: an alert needs a series."""
    accounts = (
        (kind.value, Scope.ACCOUNT.value, provider)
        for kind in HoldKind
        for provider in parts.real_providers
    )
    for labels, number in {**dict.fromkeys(accounts, 0), **active}.items():
        kind, scope, provider = labels
        yield Reading(HOLDS, (kind, scope, provider or "any"), number)


def _webhook_endpoints(states: Iterable[EndpointState], now: datetime) -> Iterator[Reading]:
    by_state = {each.state: each for each in states}
    for state in STATES:
        each = by_state.get(state, EndpointState(state, 0, None))
        waited = (now - each.due_at).total_seconds() if each.due_at else 0.0
        yield Reading(WEBHOOK_ENDPOINTS, (state,), each.number)
        yield Reading(WEBHOOKS_DUE_AGE, (state,), max(0.0, waited))


def _inbox(streams: Sequence[StreamFigures]) -> Iterator[Reading]:
    yield Reading(INBOX, (), sum(each.entries for each in streams))
    yield Reading(INBOX_AGE, (), max(each.oldest_age for each in streams))
    for number, each in enumerate(streams):
        yield Reading(INBOX_STREAM, (str(number),), each.entries)
        yield Reading(INBOX_STREAM_AGE, (str(number),), each.oldest_age)


def _read_redis(parts: Components) -> Iterator[Reading]:
    yield from _inbox(parts.inbox.figures())
    replicas = parts.heartbeats.alive()
    kinds = Counter(replica.kind for replica in replicas)
    readers = Counter(queue for replica in replicas for queue in replica.queues)
    for kind in KINDS:
        yield Reading(ALIVE, (kind,), kinds[kind])
    for queue in _QUEUES:
        yield Reading(QUEUE_READERS, (queue,), readers[queue])
    if parts.settings.broker_url is None:
        yield from _read_broker(parts)


def _read_broker(parts: Components) -> Iterator[Reading]:
    for queue in _QUEUES:
        depth, age = parts.queue.waiting(queue)
        yield Reading(QUEUE, (queue,), depth)
        if age is not None:
            yield Reading(QUEUE_AGE, (queue,), age)
