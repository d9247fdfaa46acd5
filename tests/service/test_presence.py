"""Who says that it is alive is there; who falls silent is not."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from redis import Redis

from service.extensions import parts
from service.presence import Presence


@pytest.fixture
def presence(context: Flask) -> Presence:
    return parts().presence


def test_whoever_announces_is_alive_with_its_queues(presence: Presence) -> None:
    presence.announce("worker", "send@a", ["send"])
    presence.announce("beat", "beat-1", ())
    beat, worker = presence.alive()
    assert (beat.kind, beat.name, beat.queues) == ("beat", "beat-1", ())
    assert (worker.kind, worker.name, worker.queues) == ("worker", "send@a", ("send",))
    assert worker.since <= worker.seen
    assert datetime.now(UTC) - worker.seen < timedelta(seconds=5)


def test_a_replica_is_forgotten_twenty_seconds_after_its_last_word(
    presence: Presence, redis_url: str
) -> None:
    presence.announce("worker", "send@a", ["send"])
    with Redis.from_url(redis_url) as redis:
        [name] = redis.scan_iter("waybill:presence:*")
        assert 0 < redis.ttl(name) <= 20
        redis.delete(name)
    assert presence.alive() == []
