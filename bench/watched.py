"""How long /ops and /metrics take to answer while a thousand callbacks come each second."""

import subprocess
import time
from collections.abc import Iterator
from typing import Final

import requests

from bench import steady
from bench.databases import Databases, settle
from bench.ops import log_in, page
from bench.rounds import Void, scratch
from bench.waybill import Waybill, settle_after

# As often as the page itself asks, and more often than Prometheus does.
_EVERY: Final = 3.0
# A ledger that began seconds ago has no statistics yet, and every query of it is planned as if it
# were empty: PostgreSQL makes them once a minute.
_UNWATCHED: Final = 5.0
PATHS: Final = ("/ops/", "/ops/live", "/metrics")


def watched(databases: Databases, seconds: float) -> dict[str, float]:
    """Return the longest answer of each path, in ms. Raises Void when a callback was lost."""
    slowest = dict.fromkeys(PATHS, 0.0)
    with scratch() as directory, databases.fresh() as database:
        requests_file, messages = steady.prepared(directory, seconds)
        with Waybill().serving(directory, database, messages) as serving:
            browser = log_in(serving.url, serving.stack.flask("operators", "create", "bench"))
            with steady.paced(serving, requests_file, seconds) as process:
                time.sleep(_UNWATCHED)
                settle(database)
                for path, took in _polled(browser, serving.url, process):
                    slowest[path] = max(slowest[path], 1000 * took)
                seen = steady.seen_by(process)
            settle_after(serving)
            if seen.refused or serving.recorded() != seen.accepted:
                raise Void(f"{seen}, and {serving.recorded()} are recorded")
    return slowest


def _polled(
    browser: requests.Session, url: str, load: "subprocess.Popen[str]"
) -> Iterator[tuple[str, float]]:
    """Ask for every path in turn while the load goes on; yield how long each answer took."""
    while load.poll() is None:
        for path in PATHS:
            began = time.monotonic()
            page(browser, url + path)
            yield path, time.monotonic() - began
        time.sleep(_EVERY)
