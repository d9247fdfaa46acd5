"""What is read when somebody looks: what waits in the database and in Redis, and who is alive.

A scrape never waits for a store and never fails with one. Whoever looks first after `FRESH`
seconds has it read anew, in a thread; a store that takes longer than a scrape may wait is shown
as it was, and after `STALE` seconds not at all.
"""

import logging
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.components import Components
from service.queries import backlog
from service.task_queue.queue import ROUTES

FRESH: Final = 5.0
STALE: Final = 30.0
# A scrape is to be answered within 300 ms, on a busy machine, too.
_PATIENCE: Final = 0.1
KINDS: Final = ("web", "worker", "beat")


class Gauge(NamedTuple):
    """A gauge by name, what it says, and the name of its label, if it has one."""

    name: str
    says: str
    label: str | None = None


UP: Final = Gauge("waybill_store_up", "Whether a store answered when it was last asked.", "store")
AGE: Final = Gauge(
    "waybill_store_reading_age_seconds", "How old the readings of a store are.", "store"
)
DUE: Final = Gauge(
    "waybill_messages_due", "Messages whose time has come and that no worker has taken."
)
DUE_AGE: Final = Gauge(
    "waybill_messages_due_oldest_age_seconds", "How long the oldest message that is due has waited."
)
DOUBTS: Final = Gauge(
    "waybill_messages_in_doubt",
    "Messages of which nobody knows whether they went out, by what they wait for.",
    "waits_for",
)
OVERDUE: Final = Gauge(
    "waybill_claims_overdue", "Sends whose claim ended and that no sweep has taken back."
)
OVERFLOW: Final = Gauge("waybill_overflow_entries", "Callbacks that wait in the database.")
OVERFLOW_AGE: Final = Gauge(
    "waybill_overflow_oldest_age_seconds", "Age of the oldest callback in the overflow."
)
DEAD_LETTERS: Final = Gauge(
    "waybill_dead_letters_waiting", "Callbacks that could not be recorded and wait for a person."
)
INBOX: Final = Gauge("waybill_inbox_entries", "Accepted callbacks that are not yet recorded.")
INBOX_AGE: Final = Gauge(
    "waybill_inbox_oldest_age_seconds", "Age of the oldest callback that is not yet recorded."
)
QUEUE: Final = Gauge("waybill_queue_tasks", "Tasks that wait on a Celery queue.", "queue")
QUEUE_AGE: Final = Gauge(
    "waybill_queue_oldest_age_seconds", "Age of the oldest task on a Celery queue.", "queue"
)
ALIVE: Final = Gauge(
    "waybill_replicas_alive", "Processes that announced themselves within 20 s, by kind.", "kind"
)
QUEUE_READERS: Final = Gauge(
    "waybill_queue_workers_alive", "Workers alive that read a Celery queue.", "queue"
)
GAUGES: Final = (
    *(UP, AGE, DUE, DUE_AGE, DOUBTS, OVERDUE, OVERFLOW, OVERFLOW_AGE, DEAD_LETTERS),
    *(INBOX, INBOX_AGE, QUEUE, QUEUE_AGE, ALIVE, QUEUE_READERS),
)

# A gauge, the value of its label ("" where it has none), and its value.
Reading = tuple[Gauge, str, float]

_log = logging.getLogger(__name__)


class Readings(Collector):
    """The gauges of both stores. One for each application."""

    def __init__(self, parts: Components) -> None:
        self._stores = (
            _Store("database", lambda: _of_the_database(parts)),
            _Store("redis", lambda: _of_redis(parts)),
        )

    def describe(self) -> list[Metric]:
        """Return nothing: to register is not to look."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge that has a value."""
        until = time.monotonic() + _PATIENCE
        for store in self._stores:
            store.refresh()
        readings = [one for store in self._stores for one in store.readings(until)]
        for gauge in GAUGES:
            family = GaugeMetricFamily(
                gauge.name, gauge.says, labels=[gauge.label] if gauge.label else []
            )
            for _, label, value in (one for one in readings if one[0] is gauge):
                family.add_metric([label] if gauge.label else [], value)
            if family.samples:
                yield family


class _Store:
    """One store: what was last read of it, and when."""

    def __init__(self, name: str, read: Callable[[], Iterator[Reading]]) -> None:
        self._name = name
        self._read = read
        self._lock = threading.Lock()
        self._begun = float("-inf")
        self._done = threading.Event()
        self._done.set()
        self._up = False
        self._last: tuple[float, Sequence[Reading]] = (float("-inf"), ())

    def refresh(self) -> None:
        """Have it read anew where that is due; at most one thread does so."""
        with self._lock:
            if time.monotonic() - self._begun < FRESH or not self._done.is_set():
                return
            self._begun = time.monotonic()
            self._done.clear()
        threading.Thread(target=self._run, name=f"read-{self._name}", daemon=True).start()

    def readings(self, until: float) -> Iterator[Reading]:
        """Yield what is known, after a wait until then for what is being read."""
        self._done.wait(max(0.0, until - time.monotonic()))
        at, last = self._last
        age = time.monotonic() - at
        yield UP, self._name, float(self._up)
        if age < STALE:
            yield AGE, self._name, age
            yield from last

    def _run(self) -> None:
        try:
            readings = list(self._read())
            self._up, self._last = True, (time.monotonic(), readings)
        except Exception as error:
            # Whatever it was, it is told by waybill_store_up, and the next scrape tries again.
            _log.warning("cannot read what waits in %s: %s", self._name, type(error).__name__)
            self._up = False
        finally:
            self._done.set()


def _of_the_database(parts: Components) -> Iterator[Reading]:
    now = datetime.now(UTC)
    with parts.context():
        backlogs = backlog.measure(now)
    yield DUE, "", backlogs.due.size
    yield DUE_AGE, "", backlogs.due.age(now)
    yield DOUBTS, "answer", backlogs.in_doubt.size - backlogs.undecided.size
    yield DOUBTS, "person", backlogs.undecided.size
    yield OVERDUE, "", backlogs.expired_claims.size
    yield OVERFLOW, "", backlogs.overflow.size
    yield OVERFLOW_AGE, "", backlogs.overflow.age(now)
    yield DEAD_LETTERS, "", backlogs.dead_letters.size


def _of_redis(parts: Components) -> Iterator[Reading]:
    yield INBOX, "", parts.inbox.lag()
    yield INBOX_AGE, "", parts.inbox.oldest_age()
    alive = parts.heartbeats.alive()
    kinds = Tally(replica.kind for replica in alive)
    readers = Tally(queue for replica in alive for queue in replica.queues)
    for kind in KINDS:
        yield ALIVE, kind, kinds[kind]
    for queue in sorted(set(ROUTES.values())):
        depth, age = parts.queue.waiting(queue)
        yield QUEUE, queue, depth
        yield QUEUE_AGE, queue, age
        yield QUEUE_READERS, queue, readers[queue]
