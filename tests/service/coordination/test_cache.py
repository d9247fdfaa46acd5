"""What replicas share: it comes back as it was, for a while; without Redis nothing fails."""

import time

import pytest
from flask import Flask
from redis import Redis

from service.components import components
from service.coordination.cache import Cache
from service.coordination.circuit_breaker import CircuitBreaker


@pytest.fixture
def shelf(context: Flask) -> Cache:
    return components().cache


def test_what_is_put_can_be_read_until_its_time_is_up(shelf: Cache) -> None:
    shelf.put({"a": [1, None, "x"], "b": {}}, seconds=0.2)
    assert shelf.read(["a", "none", "b"]) == [[1, None, "x"], None, {}]
    until = time.monotonic() + 5
    while shelf.read(["a"]) != [None]:
        assert time.monotonic() < until


def test_one_caller_at_a_time_does_the_work(shelf: Cache) -> None:
    assert shelf.claim("work", 60)
    assert not shelf.claim("work", 60)
    shelf.release("work")
    assert shelf.claim("work", 60)


def test_without_redis_nothing_is_kept_everybody_works_and_nothing_fails() -> None:
    away = Cache(Redis(port=1, socket_connect_timeout=0.2), CircuitBreaker())
    away.put({"a": 1}, 60)
    assert away.read(["a", "b"]) == [None, None]
    assert away.claim("work", 60)
    away.release("work")
