"""Presence: who announced itself is alive, who stopped is gone, and Redis may be away."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from demo.servers import free_port, redis_server
from demo.stack import Stack, running
from service.app import create_app
from service.components import components
from service.coordination import heartbeats as module
from service.coordination.heartbeat_thread import HeartbeatThread, when_serving
from service.coordination.heartbeats import Heartbeats, Replica
from service.database import db
from tests.conftest import make_settings

PATIENCE = 30.0


@pytest.fixture
def redis(app: Flask, redis_url: str) -> Redis:
    return Redis.from_url(redis_url)


@pytest.fixture
def presence(redis: Redis) -> Heartbeats:
    return Heartbeats(redis)


def who(presence: Heartbeats) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in presence.alive()]


def test_nobody_is_alive_who_never_said_so(presence: Heartbeats) -> None:
    assert presence.alive() == []


def test_who_announced_itself_is_alive_with_all_it_said(presence: Heartbeats) -> None:
    began = datetime.now(UTC)
    presence.announce("worker", "send@a", ["send", "urgent"])

    [found] = presence.alive()
    assert found == Replica("worker", "send@a", ("send", "urgent"), found.since, found.seen)
    assert abs(found.since - began) < timedelta(seconds=1)
    assert abs(found.seen - began) < timedelta(seconds=1)


def test_since_stays_and_seen_moves(presence: Heartbeats) -> None:
    presence.announce("beat", "beat@a", [])
    [first] = presence.alive()
    time.sleep(0.1)
    presence.announce("beat", "beat@a", [])

    [second] = presence.alive()
    assert second.since == first.since
    assert second.seen - first.seen >= timedelta(seconds=0.09)


def test_replicas_come_in_order_by_kind_and_name(presence: Heartbeats) -> None:
    for kind, name in (("worker", "b"), ("web", "c"), ("worker", "a")):
        presence.announce(kind, name, [])

    assert who(presence) == [("web", "c"), ("worker", "a"), ("worker", "b")]


def test_process_without_heartbeats_is_gone(
    presence: Heartbeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GONE_AFTER", 0.2)
    presence.announce("worker", "send@a", [])
    assert who(presence)
    time.sleep(0.3)

    assert who(presence) == []


def test_who_leaves_is_gone_at_once(presence: Heartbeats) -> None:
    presence.announce("worker", "send@a", [])
    presence.leave("worker", "send@a")

    assert who(presence) == []


def test_the_names_of_the_gone_are_not_kept_for_good(presence: Heartbeats, redis: Redis) -> None:
    redis.zadd("waybill:presence", {"worker:of last year": 1.0})
    presence.announce("worker", "send@a", [])

    assert redis.zrange("waybill:presence", 0, -1) == [b"worker:send@a"]


def test_without_redis_nobody_is_hurt(database_url: str) -> None:
    settings = make_settings(database_url, f"redis://127.0.0.1:{free_port()}/0")
    away = create_app(settings).extensions["waybill"].heartbeats

    away.announce("worker", "send@a", [])
    away.leave("worker", "send@a")
    assert away.alive() == []


def test_a_redis_that_hangs_costs_an_announcement_a_moment(
    tmp_path: Path, database_url: str
) -> None:
    with redis_server(tmp_path) as server:
        bound = create_app(make_settings(database_url, server.url)).extensions["waybill"]
        bound.heartbeats.announce("web", "a", [])
        server.freeze()
        began = time.monotonic()
        bound.heartbeats.announce("web", "a", [])
        assert time.monotonic() - began < 1


# Who announces


def test_an_announcer_goes_on_until_it_leaves(presence: Heartbeats) -> None:
    announcer = HeartbeatThread(presence, "worker", "send@a", ["send"])
    announcer.start()
    eventually(lambda: who(presence) == [("worker", "send@a")])

    announcer.leave()
    assert not announcer.is_alive()
    assert who(presence) == []


def test_a_process_whose_main_loop_hangs_is_not_announced(presence: Heartbeats) -> None:
    asked, well = threading.Event(), [False]

    def is_well() -> bool:
        asked.set()
        return well[0]

    announcer = HeartbeatThread(presence, "worker", "send@a", well=is_well)
    announcer.start()
    assert asked.wait(PATIENCE)
    time.sleep(0.2)  # for the announcement that must not come
    assert who(presence) == []

    well[0] = True
    eventually(lambda: who(presence) == [("worker", "send@a")])
    announcer.leave()


def test_a_web_process_is_announced_when_it_serves_and_not_before(
    app: Flask, database_url: str, redis_url: str
) -> None:
    serving = create_app(make_settings(database_url, redis_url))
    when_serving(serving, serving.extensions["waybill"].heartbeats)
    with app.app_context():
        assert components().heartbeats.alive() == []

        serving.test_client().get("/healthz")
        eventually(lambda: [one.kind for one in components().heartbeats.alive()] == ["web"])
    with serving.app_context():
        db.engine.dispose()


def test_what_wraps_the_application_stays(app: Flask, database_url: str, redis_url: str) -> None:
    """As ProxyFix does; documented by Flask, and done after create_app()."""
    serving = create_app(make_settings(database_url, redis_url))
    when_serving(serving, serving.extensions["waybill"].heartbeats)
    passed = list[str]()
    inner: Any = serving.wsgi_app

    def wrapper(environ: Any, start: Any) -> Any:
        passed.append(environ["PATH_INFO"])
        return inner(environ, start)

    serving.wsgi_app = wrapper  # type: ignore[method-assign]
    for path in ("/healthz", "/callbacks/twilio/1", "/v1/messages"):
        serving.test_client().get(path)
    assert passed == ["/healthz", "/callbacks/twilio/1", "/v1/messages"]
    with app.app_context():
        eventually(lambda: [one.kind for one in components().heartbeats.alive()] == ["web"])
    with serving.app_context():
        db.engine.dispose()


# The real processes


@pytest.mark.slow
def test_a_worker_that_is_killed_is_gone_within_30_seconds(tmp_path: Path) -> None:
    with running(tmp_path) as stack, Redis.from_url(stack.environment["REDIS_URL"]) as redis:
        presence = Heartbeats(redis)
        everybody = {"web": 2, "worker": 2, "beat": 1}
        eventually(lambda: kinds(presence) == everybody)
        assert queues(presence) == {"send", "status", "maintenance"}

        stack.kill("worker-send")
        killed = time.monotonic()
        eventually(lambda: queues(presence) == {"status", "maintenance"})
        assert time.monotonic() - killed < 30

        stopped_is_gone_at_once(stack, presence)


def stopped_is_gone_at_once(stack: Stack, presence: Heartbeats) -> None:
    stack.stop("worker-status")
    assert queues(presence) == set()


def kinds(presence: Heartbeats) -> dict[str, int]:
    alive = [one.kind for one in presence.alive()]
    return {kind: alive.count(kind) for kind in alive}


def queues(presence: Heartbeats) -> set[str]:
    return {queue for one in presence.alive() for queue in one.queues}


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)
