"""Measures latency, visibility and memory at 1,000 callbacks/s."""

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

from bench import callbacks, load, memory
from bench.candidates import Candidate, Serving
from bench.databases import Databases, engine_of
from bench.memory import Memory
from bench.rounds import InvalidResult, scratch
from bench.waybill import ServingWaybill, Waybill, settle_after

RATE: Final = 1000.0
_NEW_EVENTS: Final = text(
    "SELECT id, received_at FROM status_event WHERE id > :after OR id = ANY(:skipped)"
)
_POLL_INTERVAL: Final = 0.01


class RateResult(NamedTuple):
    """Answers of one run at the constant rate."""

    accepted: int
    rejected: int
    p50_ms: float
    p99_ms: float


class WaybillResult(NamedTuple):
    """Latency and memory of Waybill."""

    answer_p99_ms: float
    visible_p99_ms: float
    memory: Memory
    growth: float  # in the second half, in MB


@contextmanager
def paced(serving: Serving, requests: Path, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """Send requests at the constant rate from another process."""
    server = urlsplit(serving.url)
    arguments = [str(server.hostname), str(server.port), str(requests), str(RATE), str(seconds)]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.pacing", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def result_of(process: "subprocess.Popen[str]") -> RateResult:
    """Wait for the end of the run; return its result."""
    output, _ = process.communicate()
    result = json.loads(output)
    statuses = {int(status): count for status, count in result.pop("statuses").items()}
    accepted = sum(count for status, count in statuses.items() if 200 <= status < 300)
    return RateResult(accepted, sum(statuses.values()) - accepted, **result)


def verify(result: RateResult, recorded: int, *, allow_rejected: bool = False) -> None:
    """Raise InvalidResult when a callback was lost, or rejected."""
    if recorded != result.accepted or (result.rejected and not allow_rejected):
        raise InvalidResult(f"{recorded} callbacks recorded: {result}")


def answers(candidate: Candidate, databases: Databases, seconds: float) -> RateResult:
    """Measure the latency of one candidate. Raises InvalidResult when a callback was lost."""
    with scratch() as directory, databases.fresh() as database:
        requests, messages = prepared(directory, seconds)
        with (
            candidate.serving(directory, database, messages) as serving,
            paced(serving, requests, seconds) as process,
        ):
            result = result_of(process)
            settle_after(serving)
            verify(result, serving.recorded())
            return result


def waybill(databases: Databases, seconds: float) -> WaybillResult:
    """Measure Waybill's latency and memory. Raises InvalidResult when a callback was lost."""
    with scratch() as directory, databases.fresh() as database:
        requests, messages = prepared(directory, seconds)
        with Waybill().serving(directory, database, messages) as serving:
            with Watch(serving) as watch, paced(serving, requests, seconds) as process:
                time.sleep(seconds / 2)
                halfway = memory.measure(serving.stack)
                result = result_of(process)
                final = memory.measure(serving.stack)
                settle_after(serving)
            verify(result, len(watch.lags))
            lag_ms = 1000 * sorted(watch.lags)[int(0.99 * len(watch.lags))]
            growth = final.growth_since(halfway)
            return WaybillResult(result.p99_ms, lag_ms, final, growth)


def prepared(directory: Path, seconds: float) -> tuple[Path, list[callbacks.SentMessage]]:
    """Write signed callbacks for a run; return the file and the messages."""
    messages = callbacks.make_messages(int(RATE * seconds) // len(callbacks.STATUSES) + 1)
    path = directory / "paced"
    load.write(path, map(callbacks.http_request, callbacks.callbacks(messages)))
    return path, messages


class Watch:
    """Polls the ledger and collects the time from receipt to visibility of each event."""

    def __init__(self, serving: ServingWaybill) -> None:
        self.lags: list[float] = []
        self._database = serving.database
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        last, skipped = 0, set[int]()
        with engine_of(self._database).connect() as connection:
            while not self._stopped.is_set():
                last = self._poll(connection, last, skipped)
                time.sleep(_POLL_INTERVAL)
            self._poll(connection, last, skipped)

    def _poll(self, connection: Connection, last: int, skipped: set[int]) -> int:
        """Collect the lags of new events; return the greatest id.

        Drains commit out of order, so smaller ids may appear later. Each event is read only once:
        reading all of them would be most of the load.
        """
        rows = connection.execute(_NEW_EVENTS, {"after": last, "skipped": [*skipped]}).all()
        connection.commit()
        now = datetime.now(UTC)
        self.lags += [(now - row.received_at).total_seconds() for row in rows]
        ids = {row.id for row in rows}
        greatest = max(ids, default=last)
        skipped |= {*range(last + 1, greatest)}
        skipped -= ids
        return max(greatest, last)
