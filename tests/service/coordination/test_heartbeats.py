"""Heartbeats: which processes are alive, which are gone, and what happens without Redis."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from demo.servers import free_port, redis_server
from demo.stack import Stack, running
from service.app import create_app
from service.coordination import heartbeats as module
from service.coordination.heartbeat_thread import HeartbeatThread
from service.coordination.heartbeats import Heartbeats, Replica
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_settings

ROOT = Path(__file__).parents[3]
TIMEOUT = 30.0
GRANIAN = ("granian", "--interface", "wsgi", "wsgi:app", "--workers", "2", "--host", "127.0.0.1")
# As gunicorn --preload does: load the application, then fork the workers.
PRELOAD = "import os, time, wsgi; os.fork(); time.sleep(60)"


@pytest.fixture
def without_tables(tmp_path: Path) -> str:
    """The URL of a database without tables: heartbeats are in Redis only."""
    return f"sqlite:///{tmp_path}/waybill.db"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
        yield redis


@pytest.fixture
def heartbeats(redis: Redis) -> Heartbeats:
    return Heartbeats(redis)


def names(heartbeats: Heartbeats) -> list[tuple[str, str]]:
    return [(replica.kind, replica.name) for replica in heartbeats.alive()]


def test_without_heartbeats_no_process_is_alive(heartbeats: Heartbeats) -> None:
    assert heartbeats.alive() == []


def test_process_with_a_heartbeat_is_alive(heartbeats: Heartbeats) -> None:
    began = datetime.now(UTC)
    heartbeats.send("worker", "send@a", ["send", "urgent"])

    [replica] = heartbeats.alive()
    assert replica == Replica("worker", "send@a", ("send", "urgent"), replica.since, replica.seen)
    assert abs(replica.since - began) < timedelta(seconds=1)
    assert abs(replica.seen - began) < timedelta(seconds=1)


def test_second_heartbeat_changes_seen_but_not_since(heartbeats: Heartbeats) -> None:
    heartbeats.send("beat", "beat@a", [])
    [first] = heartbeats.alive()
    time.sleep(0.1)
    heartbeats.send("beat", "beat@a", [])

    [second] = heartbeats.alive()
    assert second.since == first.since
    assert second.seen - first.seen >= timedelta(seconds=0.09)


def test_replicas_are_sorted_by_kind_and_name(heartbeats: Heartbeats) -> None:
    for kind, name in (("worker", "b"), ("web", "c"), ("worker", "a")):
        heartbeats.send(kind, name, [])

    assert names(heartbeats) == [("web", "c"), ("worker", "a"), ("worker", "b")]


def test_process_without_heartbeats_is_gone(
    heartbeats: Heartbeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TTL", 0.2)
    heartbeats.send("worker", "send@a", [])
    assert names(heartbeats)
    time.sleep(0.3)

    assert names(heartbeats) == []


def test_removed_heartbeat_is_gone_immediately(heartbeats: Heartbeats) -> None:
    heartbeats.send("worker", "send@a", [])
    heartbeats.remove("worker", "send@a")

    assert names(heartbeats) == []


def test_old_names_are_removed(heartbeats: Heartbeats, redis: Redis) -> None:
    redis.zadd("waybill:presence", {"worker:of last year": 1.0})
    heartbeats.send("worker", "send@a", [])

    assert redis.zrange("waybill:presence", 0, -1) == [b"worker:send@a"]


def test_heartbeats_without_redis_raise_nothing(without_tables: str) -> None:
    settings = make_settings(without_tables, f"redis://127.0.0.1:{free_port()}/0")
    heartbeats = create_app(settings).extensions["waybill"].heartbeats

    heartbeats.send("worker", "send@a", [])
    heartbeats.remove("worker", "send@a")
    assert heartbeats.alive() == []


def test_heartbeat_to_a_frozen_redis_times_out(tmp_path: Path, without_tables: str) -> None:
    with redis_server(tmp_path) as server:
        bound = create_app(make_settings(without_tables, server.url)).extensions["waybill"]
        bound.heartbeats.send("web", "a", [])
        server.freeze()
        began = time.monotonic()
        bound.heartbeats.send("web", "a", [])
        assert time.monotonic() - began < 5


# The thread


def test_thread_sends_heartbeats_until_it_stops(heartbeats: Heartbeats) -> None:
    thread = HeartbeatThread(heartbeats, "worker", "send@a", ["send"])
    thread.start()
    eventually(lambda: names(heartbeats) == [("worker", "send@a")])

    thread.stop()
    assert not thread.is_alive()
    assert names(heartbeats) == []


def test_unhealthy_process_sends_no_heartbeat(heartbeats: Heartbeats) -> None:
    checked, healthy = threading.Event(), threading.Event()

    def is_healthy() -> bool:
        checked.set()
        return healthy.is_set()

    thread = HeartbeatThread(heartbeats, "worker", "send@a", is_healthy=is_healthy)
    thread.start()
    assert checked.wait(TIMEOUT)
    time.sleep(0.2)  # for the heartbeat that must not come
    assert names(heartbeats) == []

    healthy.set()
    eventually(lambda: names(heartbeats) == [("worker", "send@a")])
    thread.stop()


# Started processes


def environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PUBLIC_BASE_URL": BASE_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
    }


@contextmanager
def started(*command: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command in the repository; kill it and its children at the end."""
    process = subprocess.Popen(command, cwd=ROOT, env=variables, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_every_process_of_a_web_server_sends_heartbeats(
    heartbeats: Heartbeats, without_tables: str, redis_url: str
) -> None:
    variables = environment(without_tables, redis_url)
    with started(*GRANIAN, "--port", str(free_port()), **variables) as granian:
        eventually(lambda: kinds(heartbeats) == {"web": 2})
        assert str(granian.pid) not in str(names(heartbeats)), "the parent serves nothing"


@pytest.mark.slow
def test_process_forked_from_a_web_process_sends_heartbeats(
    heartbeats: Heartbeats, without_tables: str, redis_url: str
) -> None:
    variables = environment(without_tables, redis_url)
    with started(sys.executable, "-c", PRELOAD, **variables) as parent:
        eventually(lambda: kinds(heartbeats) == {"web": 2})
        assert any(name.endswith(f"-{parent.pid}") for _, name in names(heartbeats))


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
@pytest.mark.parametrize("options", [(), ("--app", "service.app")], ids=["found", "named"])
def test_command_sends_no_heartbeat(
    app: Flask, redis: Redis, database_url: str, redis_url: str, options: tuple[str, ...]
) -> None:
    subprocess.run(
        ["flask", *options, "clients", "list"],
        cwd=ROOT,
        env=environment(database_url, redis_url),
        capture_output=True,
        check=True,
    )
    assert redis.zcard("waybill:presence") == 0


@pytest.mark.slow
def test_killed_worker_is_gone_within_30_seconds(tmp_path: Path) -> None:
    with running(tmp_path) as stack, Redis.from_url(stack.environment["REDIS_URL"]) as redis:
        heartbeats = Heartbeats(redis)
        eventually(lambda: kinds(heartbeats) == {"web": 2, "worker": 3, "beat": 1})
        assert queues(heartbeats) == {"send", "status", "maintenance", "webhooks"}

        stack.kill("worker-send")
        killed = time.monotonic()
        eventually(lambda: queues(heartbeats) == {"status", "maintenance", "webhooks"})
        assert time.monotonic() - killed < 30

        stopped_worker_is_gone_immediately(stack, heartbeats)


def stopped_worker_is_gone_immediately(stack: Stack, heartbeats: Heartbeats) -> None:
    stack.stop("worker-status")
    assert queues(heartbeats) == {"webhooks"}


def kinds(heartbeats: Heartbeats) -> dict[str, int]:
    alive = [replica.kind for replica in heartbeats.alive()]
    return {kind: alive.count(kind) for kind in alive}


def queues(heartbeats: Heartbeats) -> set[str]:
    return {queue for replica in heartbeats.alive() for queue in replica.queues}


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < until, f"not true after {TIMEOUT:.0f} s"
        time.sleep(0.05)
