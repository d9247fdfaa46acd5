"""Keys that the version with one stream has written, as data: an upgrade finds them in Redis."""

from collections.abc import Iterator

import pytest
from redis import Redis

from service.inbox.inbox import Inbox
from service.redis_client.fast_client import FastClient

STREAM, GROUP = "waybill:inbox", "recorders"
ATTEMPT = "0198f1c2-7d0a-7c31-9d3e-0a1b2c3d4e5f"
TAKEN, NEW = ({"p": "twilio", "a": ATTEMPT, "b": body, "t": "1795747200.25"} for body in "xy")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client


@pytest.mark.parametrize("streams", [1, 16])
def test_entries_of_the_earlier_version_are_recorded(redis: Redis, streams: int) -> None:
    redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    redis.xadd(STREAM, TAKEN)
    redis.xreadgroup(GROUP, "an-earlier-process", {STREAM: ">"})
    redis.xadd(STREAM, NEW)
    inbox = Inbox(redis, FastClient(redis), 100, streams)
    entries = [*inbox.reclaim("me", 10, idle=0), *inbox.take("me", 10, linger=0)]
    assert [entry.callback.body for entry in entries] == [b"x", b"y"]
    assert {entry.callback.attempt for entry in entries} == {ATTEMPT}
    assert [entry.deliveries for entry in entries] == [2, 1]
    inbox.ack(entries)
    assert redis.xlen(STREAM) == 0
