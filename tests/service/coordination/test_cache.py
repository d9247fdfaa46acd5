"""The cache returns values until they expire; without Redis reads miss and nothing fails."""

import time

import pytest
from flask import Flask
from redis import Redis

from service.components import components
from service.coordination.cache import Cache
from service.coordination.circuit_breaker import CircuitBreaker


@pytest.fixture
def cache(context: Flask) -> Cache:
    return components().cache


def test_values_can_be_read_until_they_expire(cache: Cache) -> None:
    cache.put({"a": [1, None, "x"], "b": {}}, seconds=0.2)
    assert cache.read(["a", "none", "b"]) == [[1, None, "x"], None, {}]
    deadline = time.monotonic() + 5
    while cache.read(["a"]) != [None]:
        assert time.monotonic() < deadline


@pytest.mark.slow
def test_without_redis_reads_miss_and_writes_are_dropped() -> None:
    down = Cache(Redis(port=1, socket_connect_timeout=0.2), CircuitBreaker())
    down.put({"a": 1}, 60)
    assert down.read(["a", "b"]) == [None, None]
