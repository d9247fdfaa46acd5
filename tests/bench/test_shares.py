from collections.abc import Iterator

import pytest
from redis import Redis

from bench.shares import Shares, Simulation, attempts


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def simulate(redis: Redis, ids: list[str], utilisation: float = 0.8) -> Shares:
    redis.flushdb()
    return Simulation(redis).run(ids, utilisation)


def test_no_stream_node_or_consumer_has_more_than_its_share(redis: Redis) -> None:
    shares = simulate(redis, attempts(3_000))
    assert shares.consumers.total() == 3_000
    assert shares.idle_beside_backlog == 0
    assert shares.busiest_stream() < 1.3  # 1.17: so few callbacks are not spread evenly
    assert shares.busiest_consumer() < 1.25
    assert {nodes for nodes in (2, 4, 8, 16) if shares.busiest_node(nodes) > 1.3} == set()
    assert shares.busiest_node(3) < 6 / 16 * 3 * 1.1  # 5, 6 and 5 streams


def test_all_consumers_record_the_backlog_of_one_stream(redis: Redis) -> None:
    shares = simulate(redis, attempts(1) * 3_000)
    assert len(shares.streams) == 1
    assert shares.idle_beside_backlog == 0
    assert shares.busiest_consumer() < 1.25


def test_overloaded_consumers_starve_no_stream(redis: Redis) -> None:
    redis.flushdb()
    shares = Simulation(redis, batch=10).run(attempts(3_000), utilisation=1.5)
    assert shares.slowest_stream() < 1.7
