"""Measures an outage of PostgreSQL under a constant load."""

import time
from typing import Final, NamedTuple

from bench import constant_rate
from bench.databases import Databases
from bench.rounds import scratch
from bench.waybill import Waybill, settle_after

_BEFORE: Final = 5.0
_AFTER: Final = 20.0
# The load continues: callbacks of a quarter of a second do not count as backlog.
_NORMAL_BACKLOG: Final = constant_rate.RATE / 4
_POLL_INTERVAL: Final = 0.05


class Outage(NamedTuple):
    """Result of one outage."""

    rejected: int
    recovered_in: float  # seconds from the restart of the database to a normal backlog


def outage(databases: Databases, seconds: float) -> Outage:
    """Stop the database during the load. Raises InvalidResult when a callback was lost."""
    total = _BEFORE + seconds + _AFTER
    with scratch() as directory, databases.fresh() as database:
        requests, messages = constant_rate.prepared(directory, total)
        with (
            Waybill().serving(directory, database, messages) as serving,
            constant_rate.paced(serving, requests, total) as process,
        ):
            time.sleep(_BEFORE)
            databases.server.stop()
            time.sleep(seconds)
            databases.server.start()
            restarted = time.monotonic()
            while serving.backlog() > _NORMAL_BACKLOG and time.monotonic() < restarted + _AFTER:
                time.sleep(_POLL_INTERVAL)
            recovered_in = time.monotonic() - restarted
            result = constant_rate.result_of(process)
            settle_after(serving)
            constant_rate.verify(result, serving.recorded(), allow_rejected=True)
            return Outage(result.rejected, recovered_in)
