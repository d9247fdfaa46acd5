"""A server that does not answer costs one caller a short wait, and the others none."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from flask import Flask
from redis.exceptions import RedisError

from demo.servers import RedisServer, redis_server
from service import queue
from service.app import create_app
from service.breaker import Breaker, Resting
from service.errors import InboxUnavailable
from service.extensions import Parts
from service.providers.contract import Callback
from tests.conftest import make_settings

CALLBACK = Callback("twilio", "", b"MessageStatus=sent", datetime.now(UTC))


def fail(breaker: Breaker) -> None:
    with pytest.raises(RedisError), breaker.guard():
        raise RedisError


def test_a_server_that_failed_is_left_alone() -> None:
    breaker = Breaker(rest=60)
    fail(breaker)
    with pytest.raises(Resting), breaker.guard():
        raise AssertionError("it was asked")


def test_after_its_rest_one_caller_tries_and_the_others_wait_for_its_answer() -> None:
    breaker = Breaker(rest=0)
    fail(breaker)
    with breaker.guard():
        pass
    breaker = Breaker(rest=60)
    fail(breaker)
    breaker._next_try = 0.0
    with breaker.guard(), pytest.raises(Resting), breaker.guard():
        raise AssertionError("two tried at once")


def test_a_server_that_answers_again_is_asked_by_everybody() -> None:
    breaker = Breaker(rest=0)
    fail(breaker)
    for _ in range(3):
        with breaker.guard():
            pass


def test_an_error_of_our_own_is_not_the_servers_fault() -> None:
    breaker = Breaker(rest=60)
    with pytest.raises(ZeroDivisionError), breaker.guard():
        raise ZeroDivisionError
    with breaker.guard():
        pass


@pytest.fixture
def frozen(directory: Path) -> Iterator[RedisServer]:
    with redis_server(directory / "frozen") as server:
        yield server


@pytest.fixture
def bound(frozen: RedisServer, directory: Path) -> Iterator[Parts]:
    app: Flask = create_app(
        make_settings(f"sqlite:///{directory}/unused.db", frozen.url), providers={}
    )
    parts: Parts = app.extensions["waybill"]
    parts.inbox.put(CALLBACK)
    assert parts.queue.enqueue(queue.DRAIN)
    yield parts
    frozen.thaw()
    # They would leave their sockets to the garbage collector.
    parts.inbox._connections.close()
    parts.inbox._redis.close()
    parts.queue._celery.close()


def test_a_frozen_redis_holds_nobody_for_long(bound: Parts, frozen: RedisServer) -> None:
    frozen.freeze()
    begun = monotonic()
    for _ in range(20):
        with pytest.raises(InboxUnavailable):
            bound.inbox.put(CALLBACK)
        assert not bound.queue.enqueue(queue.DRAIN)
    # One wait of 0.2 s in a second, and not forty; generous, for a busy machine.
    assert monotonic() - begun < 2


def test_a_redis_that_goes_on_is_used_again(bound: Parts, frozen: RedisServer) -> None:
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
