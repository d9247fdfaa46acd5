"""A server that does not answer costs one caller a short wait, and the others none."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from flask import Flask, current_app
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import (
    ClusterDownError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from demo.servers import RedisServer, redis_server
from service.app import create_app
from service.components import Components
from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.coordination.sender_rate_limit import SendRequest
from service.errors import InboxUnavailable
from service.providers.base import Callback
from service.redis_client.connections import NoFreeConnection
from service.task_queue import queue
from tests.conftest import make_settings

CALLBACK = Callback("twilio", "", b"MessageStatus=sent", datetime.now(UTC))


def fail(breaker: CircuitBreaker, error: Exception | None = None) -> None:
    raised = error or RedisConnectionError()
    with pytest.raises(type(raised)), breaker:
        raise raised


def is_open(breaker: CircuitBreaker) -> bool:
    try:
        with breaker:
            return False
    except CircuitOpen:
        return True


def test_a_server_that_failed_is_left_alone() -> None:
    breaker = CircuitBreaker(rest=60)
    fail(breaker)
    with pytest.raises(CircuitOpen), breaker:
        raise AssertionError("it was asked")


def test_after_its_rest_one_caller_tries_and_the_others_wait_for_its_answer() -> None:
    breaker = CircuitBreaker(rest=0)
    fail(breaker)
    with breaker:
        pass
    breaker = CircuitBreaker(rest=60)
    fail(breaker)
    breaker._next_try = 0.0
    with breaker, pytest.raises(CircuitOpen), breaker:
        raise AssertionError("two tried at once")


def test_a_server_that_answers_again_is_asked_by_everybody() -> None:
    breaker = CircuitBreaker(rest=0)
    fail(breaker)
    for _ in range(3):
        with breaker:
            pass


def test_an_error_of_our_own_is_not_the_servers_fault() -> None:
    breaker = CircuitBreaker(rest=60)
    with pytest.raises(ZeroDivisionError), breaker:
        raise ZeroDivisionError
    with breaker:
        pass


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (RedisConnectionError("refused"), True),
        (RedisTimeoutError("no answer"), True),
        (OperationalError("kombu cannot connect"), True),
        (ConnectionResetError("reset"), True),
        (ReadOnlyError("You can't write against a read only replica."), True),
        (MovedError("3999 127.0.0.1:6381"), True),
        (ClusterDownError("The cluster is down"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (ResponseError("WRONGTYPE Operation against a key"), False),
        (OutOfMemoryError("command not allowed"), False),
        (ResponseError("ERR Error running script"), False),
        (NoFreeConnection("64 connections are in use"), False),
    ],
    ids=str,
)
def test_only_a_server_that_is_away_opens_the_breaker(error: Exception, opens: bool) -> None:
    breaker = CircuitBreaker(rest=60)
    fail(breaker, error)

    assert is_open(breaker) is opens


def test_error_answer_shows_that_the_server_is_back() -> None:
    breaker = CircuitBreaker(rest=0)
    fail(breaker)
    fail(breaker, ResponseError("WRONGTYPE Operation against a key"))
    breaker._rest = 60.0

    assert not is_open(breaker)


def break_the_cache(parts: Components, redis: Redis) -> None:
    parts.cache._redis.set("waybill:shelf:page", 1)
    redis.config_set("maxmemory", 1)
    parts.cache.put({"page": 1}, seconds=60)
    redis.config_set("maxmemory", 0)


def break_the_sender_rates(parts: Components, redis: Redis) -> None:
    redis.lpush("waybill:pace:twilio:+1", "not a number")
    assert parts.sender_rates.delays([SendRequest("twilio:+1", "line", 1, False)]) == [0.0]


def break_the_wakes(parts: Components, redis: Redis) -> None:
    redis.set(queue.STATUS, "not a list")
    assert not parts.queue.enqueue(queue.DRAIN)


def break_the_post_limits(parts: Components, redis: Redis) -> None:
    with parts.context():
        storage = current_app.extensions["limiter"].copy().pop().limiter.storage
    redis.config_set("maxmemory", 1)
    assert storage.acquire_sliding_window_entry("key", 1, 60)
    redis.config_set("maxmemory", 0)


@pytest.mark.parametrize(
    "break_it", [break_the_cache, break_the_sender_rates, break_the_wakes, break_the_post_limits]
)
def test_error_of_one_use_costs_no_callback(
    bound: Components, frozen: RedisServer, break_it: Callable[[Components, Redis], None]
) -> None:
    with Redis.from_url(frozen.url) as redis:
        break_it(bound, redis)

    bound.inbox.put(CALLBACK)


def test_uses_of_redis_have_breakers_of_their_own(bound: Components) -> None:
    """A time-out of one use, such as a long read of the cache, leaves the others alone."""
    fail(bound.cache._breaker)
    fail(bound.sender_rates._breaker)
    fail(bound.queue._breaker)

    bound.inbox.put(CALLBACK)


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def bound(frozen: RedisServer, directory: Path) -> Iterator[Components]:
    limits = {"SENDER_RATES": "*:1", "RATE_LIMIT_POSTS": "5/second"}
    app: Flask = create_app(
        make_settings(f"sqlite:///{directory}/unused.db", frozen.url, **limits), providers={}
    )
    parts: Components = app.extensions["waybill"]
    parts.inbox.put(CALLBACK)
    assert parts.queue.enqueue(queue.DRAIN)
    yield parts
    frozen.thaw()
    # They would leave their sockets to the garbage collector.
    parts.inbox._connections.close()
    parts.inbox._redis.close()
    parts.queue._celery.close()


def test_a_frozen_redis_holds_nobody_for_long(bound: Components, frozen: RedisServer) -> None:
    frozen.freeze()
    begun = monotonic()
    for _ in range(20):
        with pytest.raises(InboxUnavailable):
            bound.inbox.put(CALLBACK)
        assert not bound.queue.enqueue(queue.DRAIN)
    # One wait of 0.2 s in a second, and not forty; generous, for a busy machine.
    assert monotonic() - begun < 2


def test_a_redis_that_goes_on_is_used_again(bound: Components, frozen: RedisServer) -> None:
    frozen.freeze()
    with pytest.raises(InboxUnavailable):
        bound.inbox.put(CALLBACK)
    frozen.thaw()
    until = monotonic() + 10
    while monotonic() < until:
        try:
            bound.inbox.put(CALLBACK)
            return
        except InboxUnavailable:
            continue
    raise AssertionError("it was never asked again")
