"""PostgreSQL stopped under a steady load: what is answered, and when all is made good."""

import time
from typing import Final, NamedTuple

from bench import steady
from bench.databases import Databases
from bench.rounds import Void, scratch
from bench.waybill import Waybill, settle_after

_BEFORE: Final = 5.0
_AFTER: Final = 20.0
# The load goes on: what comes in a quarter of a second is no backlog.
_NO_BACKLOG: Final = steady.RATE / 4
_TICK: Final = 0.05


class Outage(NamedTuple):
    """What one outage came to."""

    refused: int
    made_good_in: float  # seconds from the database's return


def outage(databases: Databases, seconds: float) -> Outage:
    """Stop the database in the middle of a load. Raises Void when anything was lost."""
    whole = _BEFORE + seconds + _AFTER
    with scratch() as directory, databases.fresh() as database:
        requests, messages = steady.prepared(directory, whole)
        with (
            Waybill().serving(directory, database, messages) as serving,
            steady.paced(serving, requests, whole) as process,
        ):
            time.sleep(_BEFORE)
            databases.server.stop()
            time.sleep(seconds)
            databases.server.start()
            back = time.monotonic()
            while serving.backlog() > _NO_BACKLOG and time.monotonic() < back + _AFTER:
                time.sleep(_TICK)
            made_good_in = time.monotonic() - back
            seen = steady.seen_by(process)
            settle_after(serving)
            if serving.recorded() != seen.accepted:
                raise Void(f"{seen.accepted} were accepted, {serving.recorded()} are recorded")
            return Outage(seen.refused, made_good_in)
