"""Measures the answers of /ops and /metrics at 1,000 callbacks/s."""

import subprocess
import time
from collections.abc import Iterator
from typing import Final

import requests

from bench import constant_rate
from bench.databases import Databases, settle
from bench.ops import log_in, page
from bench.rounds import scratch
from bench.waybill import Waybill, settle_after

# As often as the page refreshes, and more often than Prometheus scrapes.
_INTERVAL: Final = 3.0
# PostgreSQL analyzes a table once a minute. Before that it plans every query of a new ledger as if
# the table were empty.
_WARM_UP: Final = 5.0
PATHS: Final = ("/ops/", "/ops/live", "/metrics")


def slowest_answers(databases: Databases, seconds: float) -> dict[str, float]:
    """Return the slowest answer of each path in ms. Raises InvalidResult."""
    slowest = dict.fromkeys(PATHS, 0.0)
    with scratch() as directory, databases.fresh() as database:
        requests_file, messages = constant_rate.prepared(directory, seconds)
        with Waybill().serving(directory, database, messages) as serving:
            browser = log_in(serving.url, serving.stack.flask("operators", "create", "bench"))
            with constant_rate.paced(serving, requests_file, seconds) as process:
                time.sleep(_WARM_UP)
                settle(database)
                for path, seconds_taken in _poll(browser, serving.url, process):
                    slowest[path] = max(slowest[path], 1000 * seconds_taken)
                result = constant_rate.result_of(process)
            settle_after(serving)
            constant_rate.verify(result, serving.recorded())
    return slowest


def _poll(
    browser: requests.Session, url: str, load: "subprocess.Popen[str]"
) -> Iterator[tuple[str, float]]:
    """Request every path until the load ends; yield the path and the seconds."""
    while load.poll() is None:
        for path in PATHS:
            start = time.monotonic()
            page(browser, url + path)
            yield path, time.monotonic() - start
        time.sleep(_INTERVAL)
