"""Bursts of callbacks with rests in between, longer than a server keeps its idle threads."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import pytest
import requests
from redis import Redis
from sqlalchemy import create_engine, text

from bench.callbacks import BASE_URL, callbacks, sent, wire
from bench.waybill import fill
from demo.servers import RedisServer
from tests.as_started.conftest import Install
from tests.as_started.installation import Installation, until
from tests.as_started.load import CONNECTIONS, Burst, burst

# Connections of the process beside those of its requests: heartbeats, wake-ups, limits.
_OTHERS = 8


class Rest(NamedTuple):
    """How many bursts, with how long a rest in between, in seconds."""

    bursts: int
    seconds: float
    idle_timeout: str  # of the server's threads; its default is 30


class Run(NamedTuple):
    """What several bursts came to."""

    bursts: list[Burst]
    connections: list[int]  # to Redis after each burst
    overflow: int


@pytest.fixture
def web(install: Install, request: pytest.FixtureRequest) -> Iterator[Installation]:
    installation = install(request.param, PUBLIC_BASE_URL=BASE_URL)
    installation.start("worker-status")
    yield installation


def run_bursts(web: Installation, redis: RedisServer, rest: Rest, size: int) -> Run:
    messages = sent(rest.bursts * size // 4)
    fill(web, messages)
    requests_ = (wire(callback) for callback in callbacks(messages))
    web.export(GRANIAN_BLOCKING_THREADS_IDLE_TIMEOUT=rest.idle_timeout)
    web.start("web")
    bursts, connections = list[Burst](), list[int]()
    with Redis.from_url(redis.url) as observer:
        for number in range(rest.bursts):
            time.sleep(rest.seconds if number else 0)
            bursts.append(burst(web.url, list(islice(requests_, size))))
            connections.append(len(observer.client_list()))
    assert requests.get(f"{web.url}/readyz", timeout=2).json()["status"] == "ready"
    return Run(bursts, connections, _overflow(web))


def assert_steady(web: Installation, run: Run) -> None:
    assert run.overflow == 0
    assert max(run.connections) - run.connections[0] <= CONNECTIONS + _OTHERS
    accepted = sum(one.statuses[204] for one in run.bursts)
    assert accepted == sum(one.statuses.total() for one in run.bursts)
    until(lambda: _recorded(web) == accepted, 60)


def _recorded(web: Installation) -> int:
    return _scalar(web, "SELECT count(*) FROM status_event WHERE message_id IS NOT NULL")


def _overflow(web: Installation) -> int:
    """Count what ever went to the overflow: its numbers are never given twice."""
    return _scalar(web, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'overflow'")


def _scalar(web: Installation, query: str) -> int:
    engine = create_engine(web.environment["DATABASE_URL"])
    with engine.connect() as connection:
        number = int(connection.scalar(text(query)) or 0)
    engine.dispose()
    return number


@pytest.mark.parametrize("web", ["README.md", "docker-compose.yml"], indirect=True)
def test_threads_that_end_leave_no_connections(web: Installation, redis: RedisServer) -> None:
    assert_steady(web, run_bursts(web, redis, Rest(4, 7.0, "5"), 400))


@pytest.mark.slow
@pytest.mark.parametrize("web", ["README.md"], indirect=True)
def test_eight_bursts_with_default_idle_time(web: Installation, redis: RedisServer) -> None:
    run = run_bursts(web, redis, Rest(8, 35.0, "30"), 20_000)
    print([round(one.rate) for one in run.bursts], run.connections)
    assert_steady(web, run)
