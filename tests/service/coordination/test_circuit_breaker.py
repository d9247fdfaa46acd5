"""While a server does not answer, one caller waits a short time and the others not at all."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from flask import Flask
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
from service.redis_client.fast_client import NoFreeConnection
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


def test_failed_server_is_not_called() -> None:
    breaker = CircuitBreaker(reset_timeout=60)
    fail(breaker)
    with pytest.raises(CircuitOpen), breaker:
        raise AssertionError("the server was called")


def test_one_caller_tries_after_the_reset_timeout() -> None:
    breaker = CircuitBreaker(reset_timeout=0)
    fail(breaker)
    with breaker:
        pass
    breaker = CircuitBreaker(reset_timeout=60)
    fail(breaker)
    breaker._next_try = 0.0
    with breaker, pytest.raises(CircuitOpen), breaker:
        raise AssertionError("two callers tried")


def test_answer_closes_the_breaker() -> None:
    breaker = CircuitBreaker(reset_timeout=0)
    fail(breaker)
    for _ in range(3):
        with breaker:
            pass


def test_other_errors_do_not_open_the_breaker() -> None:
    breaker = CircuitBreaker(reset_timeout=60)
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
def test_only_an_unavailable_server_opens_the_breaker(error: Exception, opens: bool) -> None:
    breaker = CircuitBreaker(reset_timeout=60)
    fail(breaker, error)

    assert is_open(breaker) is opens


def test_error_answer_closes_the_breaker() -> None:
    breaker = CircuitBreaker(reset_timeout=0)
    fail(breaker)
    fail(breaker, ResponseError("WRONGTYPE Operation against a key"))
    breaker._reset_timeout = 60.0

    assert not is_open(breaker)


def cause_error_of_cache(bound: Components, redis: Redis) -> None:
    bound.cache._redis.set("waybill:shelf:page", 1)
    redis.config_set("maxmemory", 1)
    bound.cache.put({"page": 1}, seconds=60)
    redis.config_set("maxmemory", 0)


def cause_error_of_sender_rates(bound: Components, redis: Redis) -> None:
    redis.lpush("waybill:pace:twilio:default:+1", "not a number")
    assert bound.sender_rates.delays([SendRequest("twilio:default", "+1", "1:1", 1, False)]) == [
        0.0
    ]


def cause_error_of_wakes(bound: Components, redis: Redis) -> None:
    redis.set(queue.STATUS, "not a list")
    assert not bound.queue.enqueue(queue.CONSUME_INBOX)


@pytest.mark.parametrize(
    "cause_error",
    [
        cause_error_of_cache,
        cause_error_of_sender_rates,
        cause_error_of_wakes,
    ],
)
def test_error_of_another_use_does_not_refuse_callbacks(
    bound: Components, frozen: RedisServer, cause_error: Callable[[Components, Redis], None]
) -> None:
    with Redis.from_url(frozen.url) as redis:
        cause_error(bound, redis)

    bound.inbox.put(CALLBACK)


def test_uses_of_redis_have_separate_breakers(bound: Components) -> None:
    """A time-out of one use, such as a long read of the cache, does not affect the others."""
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
    bound: Components = app.extensions["waybill"]
    bound.inbox.put(CALLBACK)
    assert bound.queue.enqueue(queue.CONSUME_INBOX)
    yield bound
    frozen.thaw()
    # Else the garbage collector closes their sockets and warns.
    bound.inbox._fast.close()
    bound.inbox._redis.close()
    bound.queue._celery.close()


def test_frozen_redis_delays_callers_only_briefly(bound: Components, frozen: RedisServer) -> None:
    frozen.freeze()
    begun = monotonic()
    for _ in range(20):
        with pytest.raises(InboxUnavailable):
            bound.inbox.put(CALLBACK)
        assert not bound.queue.enqueue(queue.CONSUME_INBOX)
    # One time-out of 0.2 s each second, not forty (8 s). The limit allows for a busy machine.
    assert monotonic() - begun < 4


def test_redis_is_used_again_after_it_recovers(bound: Components, frozen: RedisServer) -> None:
    frozen.freeze()
    with pytest.raises(InboxUnavailable):
        bound.inbox.put(CALLBACK)
    frozen.thaw()
    deadline = monotonic() + 10
    while monotonic() < deadline:
        try:
            bound.inbox.put(CALLBACK)
            return
        except InboxUnavailable:
            continue
    raise AssertionError("the server was not called again")
