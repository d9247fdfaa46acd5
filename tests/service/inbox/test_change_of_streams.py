"""The number of streams grows and shrinks while processes with both numbers run."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from tests.messages import assert_soon

pytestmark = pytest.mark.slow
_INBOX = """
import sys
from datetime import UTC, datetime
from redis import Redis
from service.inbox.inbox import Inbox
from service.providers.base import Callback
from service.redis_client.fast_client import FastClient
url, streams, name = sys.argv[1:]
redis = Redis.from_url(url, protocol=2)
inbox = Inbox(redis, FastClient(redis), 100_000, int(streams))
print('ready', flush=True)
"""
_PRODUCER = """
number = 0
while not redis.exists(f'test:stop:{name}'):
    inbox.put(Callback('twilio', f'{name}-{number}', b'', datetime.now(UTC)))
    redis.rpush('test:sent', f'{name}-{number}')
    number += 1
"""
_CONSUMER = """
while not redis.exists(f'test:stop:{name}'):
    batch = inbox.next_batch(2000, idle=20)
    for entry in batch:
        redis.rpush('test:recorded', entry.callback.attempt)
    inbox.ack(batch)
"""


@contextmanager
def process(redis: Redis, url: str, body: str, streams: int, name: str) -> Iterator[None]:
    """Run a process; stop it in order, and wait for its end."""
    command = [sys.executable, "-c", _INBOX + body, url, str(streams), name]
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"  # nothing if the process ends before
        yield
        redis.set(f"test:stop:{name}", 1)
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.communicate()


def test_no_callback_is_lost_from_1_to_4_to_1_streams(redis_url: str) -> None:
    with Redis.from_url(redis_url, protocol=2) as redis:
        redis.flushall()

        def sent() -> int:
            return int(redis.llen("test:sent"))

        def put_more(streams: int, name: str) -> None:
            with process(redis, redis_url, _PRODUCER, streams, name):
                goal = sent() + 300
                assert_soon(lambda: sent() >= goal)

        with process(redis, redis_url, _CONSUMER, 1, "old consumer"):
            put_more(1, "before")
            with process(redis, redis_url, _PRODUCER, 1, "last of before"):
                put_more(4, "grown")  # both numbers at a time
            with process(redis, redis_url, _PRODUCER, 4, "last of grown"):
                put_more(1, "shrunk")
        with process(redis, redis_url, _CONSUMER, 1, "new consumer"):
            assert_soon(lambda: redis.llen("test:recorded") >= sent())

        attempts = redis.lrange("test:sent", 0, -1)
        assert sorted(redis.lrange("test:recorded", 0, -1)) == sorted(attempts)
        assert any(attempt.startswith(b"grown") for attempt in attempts)
        redis.flushall()
