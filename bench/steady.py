"""At a steady thousand callbacks a second: answers, what becomes visible when, and memory."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection, text

from bench import callbacks, load
from bench.candidates import Candidate, Serving
from bench.databases import Databases, engine_of
from bench.memory import Memory, held_by
from bench.rounds import Void, scratch
from bench.waybill import ServingWaybill, Waybill, settle_after

RATE: Final = 1000.0
_LAG: Final = text(
    "SELECT id, received_at FROM status_event WHERE id > :after OR id = ANY(:passed_over)"
)
_LOOK: Final = 0.01


class Steady(NamedTuple):
    """What one paced run saw."""

    accepted: int
    refused: int
    p50_ms: float
    p99_ms: float


class Ours(NamedTuple):
    """What Waybill came to: 99 of 100 within so many ms; MB, and MB of the second half alone."""

    answered_ms: float
    visible_ms: float
    held: Memory
    grown: float


@contextmanager
def paced(serving: Serving, requests: Path, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """Send at the steady rate, from another process, meanwhile."""
    where = urlsplit(serving.url)
    given = [str(where.hostname), str(where.port), str(requests), str(RATE), str(seconds)]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.pacing", *given], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def seen_by(process: "subprocess.Popen[str]") -> Steady:
    """Wait for the run to end; return what it saw."""
    output, _ = process.communicate()
    said = json.loads(output)
    statuses = {int(status): count for status, count in said.pop("statuses").items()}
    accepted = sum(count for status, count in statuses.items() if 200 <= status < 300)
    return Steady(accepted, sum(statuses.values()) - accepted, **said)


def answers(candidate: Candidate, databases: Databases, seconds: float) -> Steady:
    """Measure the answers of one candidate. Raises Void when one was refused or lost."""
    with scratch() as directory, databases.fresh() as database:
        requests, messages = prepared(directory, seconds)
        with (
            candidate.serving(directory, database, messages) as serving,
            paced(serving, requests, seconds) as process,
        ):
            steady = seen_by(process)
            settle_after(serving)
            if steady.refused or serving.recorded() != steady.accepted:
                raise Void(f"{steady}, and {serving.recorded()} are recorded")
            return steady


def ours(databases: Databases, seconds: float) -> Ours:
    """Measure all that is asked of Waybill at this rate. Raises Void when anything was lost."""
    with scratch() as directory, databases.fresh() as database:
        requests, messages = prepared(directory, seconds)
        with Waybill().serving(directory, database, messages) as serving:
            with Watch(serving) as watch, paced(serving, requests, seconds) as process:
                time.sleep(seconds / 2)
                halfway = held_by(serving.stack)
                steady = seen_by(process)
                held = held_by(serving.stack)
                settle_after(serving)
            if steady.refused or len(watch.lags) != steady.accepted:
                raise Void(f"{steady}, and {len(watch.lags)} became visible")
            lag = sorted(watch.lags)[int(0.99 * len(watch.lags))]
            return Ours(steady.p99_ms, 1000 * lag, held, held.grown_since(halfway))


def prepared(directory: Path, seconds: float) -> tuple[Path, list[callbacks.Sent]]:
    """Write enough signed callbacks for a paced run; return the file and whom they are about."""
    messages = callbacks.sent(int(RATE * seconds) // len(callbacks.WORDS) + 1)
    path = directory / "paced"
    load.write(path, map(callbacks.wire, callbacks.callbacks(messages)))
    return path, messages


class Watch:
    """Looks at the ledger all the time; notes when each event was first seen."""

    def __init__(self, serving: ServingWaybill) -> None:
        self.lags: list[float] = []
        self._database = serving.database
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        after, passed_over = 0, set[int]()
        with engine_of(self._database).connect() as connection:
            while not self._over.is_set():
                after = self._look(connection, after, passed_over)
                time.sleep(_LOOK)
            self._look(connection, after, passed_over)

    def _look(self, connection: Connection, after: int, passed_over: set[int]) -> int:
        """Note what is new; return the greatest id seen.

        Several drains commit out of order: smaller ids than that are waited for. Nothing is read
        twice, or the watch would be most of the load.
        """
        rows = connection.execute(_LAG, {"after": after, "passed_over": [*passed_over]}).all()
        connection.commit()
        now = datetime.now(UTC)
        self.lags += [(now - row.received_at).total_seconds() for row in rows]
        seen = {row.id for row in rows}
        greatest = max(seen, default=after)
        passed_over |= {*range(after + 1, greatest)}
        passed_over -= seen
        return max(greatest, after)
