"""What replicas share works on a cluster, also from a process that started without it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from redis import Redis

from service.app import create_app
from service.components import Components
from service.coordination.cache import Cache
from service.coordination.callback_checks import CallbackChecks
from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.coordination.heartbeats import Heartbeats
from service.coordination.sender_rate_limit import SenderRateLimit, SendRequest
from service.providers.base import RefusalAdvice
from service.redis_client.connections import connect
from service.redis_client.url import parse_redis_url
from tests.cluster.redis_cluster import ClusterServer
from tests.conftest import make_settings
from tests.redis_stand import cluster_of_one

NOWHERE = "cluster://127.0.0.1:1"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with cluster_of_one(tmp_path_factory.mktemp("cluster")) as server:
        yield server


@pytest.fixture
def redis(node: ClusterServer) -> Iterator[Redis]:
    with closing(connect(parse_redis_url(f"cluster://127.0.0.1:{node.port}"), 2)) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def down() -> Redis:
    return connect(parse_redis_url(NOWHERE), 0.2)


def test_cache_reads_values_of_several_slots(redis: Redis) -> None:
    cache = Cache(redis, CircuitBreaker())
    cache.put({"a": 1, "b": [2], "c": "x"}, seconds=60)

    assert cache.read(["a", "none", "b", "c"]) == [1, None, [2], "x"]


def test_heartbeats_are_read(redis: Redis) -> None:
    heartbeats = Heartbeats(redis)
    for name in ("first", "second", "third"):
        heartbeats.send("worker", name, ["send"])

    assert [replica.name for replica in heartbeats.alive()] == ["first", "second", "third"]


def test_refused_callbacks_are_counted(redis: Redis) -> None:
    advice = RefusalAdvice(fault="wrong token", remedy="set TWILIO_AUTH_TOKEN")
    CallbackChecks(redis, CircuitBreaker()).refused("twilio", "signature", advice)

    [refusals] = CallbackChecks(redis, CircuitBreaker()).all_refused()
    assert (refusals.provider, refusals.number) == ("twilio", 1)


def test_one_call_delays_messages_of_several_senders(redis: Redis) -> None:
    limit = SenderRateLimit(redis, CircuitBreaker(), {"*": 1})
    requests = [SendRequest("twilio:default", f"+{n % 2}", "1:1", 1, False) for n in range(4)]

    assert [delay > 0 for delay in limit.delays(requests)] == [False, False, True, True]


def test_without_the_cluster_nothing_fails(down: Redis) -> None:
    request = SendRequest("twilio:default", "+1", "1:1", 1, False)
    advice = RefusalAdvice(fault="wrong token", remedy="set TWILIO_AUTH_TOKEN")
    cache, checks = Cache(down, CircuitBreaker()), CallbackChecks(down, CircuitBreaker())
    cache.put({"a": 1}, 60)
    checks.refused("twilio", "signature", advice)
    Heartbeats(down).send("web", "name", [])

    assert cache.read(["a"]) == [None]
    assert checks.all_refused() == []
    assert Heartbeats(down).alive() == []
    assert SenderRateLimit(down, CircuitBreaker(), {"*": 1}).delays([request]) == [0.0]


def test_unreachable_cluster_opens_the_breaker(down: Redis) -> None:
    """Otherwise each request waits for it."""
    breaker = CircuitBreaker(reset_timeout=60)
    with pytest.raises(Exception, match="cluster"), breaker:
        down.get("name")
    with pytest.raises(CircuitOpen), breaker:
        raise AssertionError("the cluster was asked again")


def test_process_starts_without_the_cluster(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "BROKER_URL": "redis://127.0.0.1:1/0",
        "RATE_LIMIT_POSTS": "5/second",
        "SENDER_RATES": "*:1",
    }
    app: Flask = create_app(
        make_settings(f"sqlite:///{tmp_path}/unused.db", NOWHERE, **settings), providers={}
    )
    bound = cast(Components, app.extensions["waybill"])

    assert bound.heartbeats.alive() == []
