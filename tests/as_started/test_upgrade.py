"""Processes of an earlier version are replaced one by one while a provider calls back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from bench.callbacks import BASE_URL
from demo.servers import RedisServer, free_port
from demo.stack import ACCOUNT, SENDER, TOKEN
from service.inbox.stream_names import stream_names
from tests.as_started.commands import ROOT, readme_commands
from tests.as_started.earlier import ONE_SERVER, check_out
from tests.as_started.installation import Installation, until
from tests.as_started.traffic import Traffic, prepare
from tests.cluster.redis_cluster import redis_cluster
from tests.conftest import make_database

pytestmark = pytest.mark.slow

CALLBACKS = 20_000  # more than are sent before the upgrade is over
STEP = 100  # callbacks between two steps
LIMIT = 120
ROLES = ("web", "worker-status", "beat")

Version = Callable[..., Installation]


@pytest.fixture
def database(postgres_url: str) -> str:
    return make_database(postgres_url, f"upgrade_{uuid4().hex[:8]}")


@pytest.fixture
def version(place: Path, redis: RedisServer, database: str) -> Iterator[Version]:
    """Make an installation of a checkout; all share one database, one Redis and one public URL."""
    settings = {
        "DATABASE_URL": database,
        "REDIS_URL": redis.url,
        "PUBLIC_BASE_URL": BASE_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_PHONE_NUMBER": SENDER,
    }
    with ExitStack() as stack:

        def make(name: str, checkout: Path = ROOT, **more: str) -> Installation:
            commands = readme_commands(checkout)
            port, all_settings = free_port(), {**settings, **more}
            made = Installation(place / name, commands, port, all_settings, checkout)
            stack.callback(made.stop_all)
            return made

        yield make


def recorded(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM status_event").fetchone()
    assert row
    return int(row[0])


def replace(old: Installation, new: Installation, traffic: Traffic, database: str) -> None:
    """Replace the processes one by one; each version records what the other has accepted."""
    new.start("web")
    traffic.servers = [new]  # as a load balancer does
    assert_recorded_while_sent(traffic, database)
    new.start("worker-status", "beat")
    for role in ("worker-status", "beat"):
        old.stop(role)
    traffic.servers = [old]
    assert_recorded_while_sent(traffic, database)
    traffic.servers = [old, new]
    go_on(traffic)
    traffic.servers = [new]
    go_on(traffic)
    old.stop("web")


def assert_recorded_while_sent(traffic: Traffic, database: str) -> None:
    go_on(traffic)
    sent = traffic.sent
    until(lambda: recorded(database) >= sent, LIMIT)


def go_on(traffic: Traffic) -> None:
    """Wait for a number of further callbacks."""
    goal = traffic.sent + STEP
    until(lambda: traffic.sent >= goal, LIMIT)


def assert_none_lost(traffic: Traffic, database: str) -> None:
    assert traffic.refused == 0, traffic.answers
    until(lambda: recorded(database) >= traffic.sent, LIMIT)
    assert recorded(database) == traffic.sent


def test_upgrade_refuses_and_loses_no_callback(
    place: Path, version: Version, database: str
) -> None:
    old = version("old", check_out(ONE_SERVER, place / ONE_SERVER))
    new = version("new")
    old.migrate()
    requests = prepare(old, CALLBACKS)
    old.start(*ROLES)
    with Traffic(requests, [old]) as traffic:
        until(lambda: recorded(database) > 0, LIMIT)
        new.migrate()
        go_on(traffic)
        replace(old, new, traffic, database)
        go_on(traffic)
    assert_none_lost(traffic, database)
    assert new.run("flask", "--app", "service.app", "audit")


def test_inbox_moves_to_a_cluster_while_callbacks_arrive(
    place: Path, version: Version, database: str
) -> None:
    """The order of docs/scaling.md: workers of the new inbox, web servers, then the old workers."""
    with redis_cluster(place / "cluster") as cluster:
        old = version("old")
        new = version("new", INBOX_URL=cluster.url, INBOX_STREAMS="16")
        old.migrate()
        requests = prepare(old, CALLBACKS)
        old.start(*ROLES)
        with Traffic(requests, [old]) as traffic:
            until(lambda: recorded(database) > 0, LIMIT)
            new.start("worker-status", "web")
            traffic.servers = [old, new]
            go_on(traffic)
            traffic.servers = [new]
            go_on(traffic)
            old.stop("web")
            assert_recorded_while_sent(traffic, database)
        assert_none_lost(traffic, database)
        with cluster.client() as client:
            assert any(client.exists(name) for name in stream_names()[1:16])
