"""Sends bursts of callbacks with pauses, and collects the results."""

import time
from itertools import islice
from typing import NamedTuple

from redis import Redis
from sqlalchemy import create_engine, text

from bench.callbacks import callbacks, http_request, make_messages
from bench.waybill import fill
from tests.as_started.installation import Installation
from tests.as_started.load import Burst, burst


class Plan(NamedTuple):
    """Number and size of the bursts, and the pause between them in seconds."""

    bursts: int
    size: int
    pause: float
    idle_timeout: str  # of the server's threads in seconds; the default is 30


class Run(NamedTuple):
    """Results of several bursts."""

    bursts: list[Burst]
    connections: list[int]  # to Redis after each burst
    overflow: int  # callbacks that were stored in the overflow

    @property
    def accepted(self) -> int:
        """Return the number of callbacks answered with 204."""
        return sum(burst.statuses[204] for burst in self.bursts)


def run(waybill: Installation, plan: Plan) -> Run:
    """Start the web server and send the bursts."""
    messages = make_messages(plan.bursts * plan.size // 4)
    fill(waybill, messages)
    requests = (http_request(callback) for callback in callbacks(messages))
    waybill.export(GRANIAN_BLOCKING_THREADS_IDLE_TIMEOUT=plan.idle_timeout)
    waybill.start("web")
    bursts, connections = list[Burst](), list[int]()
    with Redis.from_url(waybill.environment["REDIS_URL"]) as observer:
        for number in range(plan.bursts):
            time.sleep(plan.pause if number else 0)
            bursts.append(burst(waybill.url, list(islice(requests, plan.size))))
            connections.append(len(observer.client_list()))
    return Run(bursts, connections, _overflow(waybill))


def recorded(waybill: Installation) -> int:
    """Return the number of callbacks in the ledger, without orphans."""
    return _scalar(waybill, "SELECT count(*) FROM status_event WHERE message_id IS NOT NULL")


def _overflow(waybill: Installation) -> int:
    # SQLite keeps the highest row id that the table ever had.
    return _scalar(waybill, "SELECT max(seq) FROM sqlite_sequence WHERE name = 'overflow'")


def _scalar(waybill: Installation, query: str) -> int:
    engine = create_engine(waybill.environment["DATABASE_URL"])
    with engine.connect() as connection:
        number = int(connection.scalar(text(query)) or 0)
    engine.dispose()
    return number
