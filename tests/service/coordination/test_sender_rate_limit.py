"""The rate limit of senders: shared by all replicas, in segments, none without Redis."""

from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from redis import Redis

from service.coordination.circuit_breaker import CircuitBreaker
from service.coordination.sender_rate_limit import SenderRateLimit, SendRequest


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, protocol=2) as redis:
        redis.flushdb()
        yield redis


def rate_limit(redis: Redis, **rates: float) -> SenderRateLimit:
    return SenderRateLimit(redis, CircuitBreaker(), rates)


def request(
    sender: str = "twilio:bulk", queue: str = "1:1", segments: int = 1, *, rescheduled: bool = False
) -> SendRequest:
    provider, _, name = sender.partition(":")
    account = provider if "/" in provider else f"{provider}/default"
    return SendRequest(account.replace("/", ":"), name, queue, segments, rescheduled)


def test_one_second_of_segments_is_sent_and_the_rest_delayed(redis: Redis) -> None:
    delays = rate_limit(redis, bulk=10).delays([request() for _ in range(30)])
    assert delays[:10] == [0] * 10
    assert delays[10:] == sorted(delays[10:])
    assert 1.8 < delays[-1] - delays[10] < 2.0
    assert all(0 < delay < 2.1 for delay in delays[10:])


def test_long_text_counts_its_segments(redis: Redis) -> None:
    delays = rate_limit(redis, bulk=10).delays(
        [request(segments=10), request(segments=10), request()]
    )
    assert delays[0] == 0
    assert delays[2] - delays[1] == pytest.approx(1, abs=0.01)


def test_replicas_share_the_bucket_of_a_sender(redis: Redis) -> None:
    first, second, start = rate_limit(redis, bulk=10), rate_limit(redis, bulk=10), monotonic()
    sent = first.delays([request() for _ in range(8)]) + second.delays(
        [request() for _ in range(8)]
    )
    assert 10 <= sent.count(0) <= 11 + 10 * (monotonic() - start)  # ten more each second


def test_senders_of_each_provider_have_separate_buckets(redis: Redis) -> None:
    limit = rate_limit(redis, **{"*": 1})
    senders = ("twilio:+15005550006", "sinch:+15005550006", "twilio:MG1", "twilio:whatsapp:+1")
    assert limit.delays([request(sender) for sender in senders]) == [0, 0, 0, 0]


def test_sender_without_a_rate_is_not_delayed(redis: Redis) -> None:
    assert (
        rate_limit(redis, bulk=1).delays([request("twilio:other") for _ in range(99)]) == [0] * 99
    )


def test_backlog_of_one_client_does_not_delay_another(redis: Redis) -> None:
    limit = rate_limit(redis, bulk=10)
    limit.delays([request(queue="1:1") for _ in range(1000)])
    [other, urgent, behind] = limit.delays(
        [request(queue="2:1"), request(queue="1:0"), request(queue="1:1")]
    )
    assert other < 1
    assert urgent < 1
    assert behind > 90


def test_rescheduled_messages_go_before_new_ones(redis: Redis) -> None:
    limit = rate_limit(redis, bulk=2)
    delays = limit.delays([request() for _ in range(6)])
    sleep(delays[3] + 0.03)  # two of them are due, the next one in half a second
    new, *rescheduled = limit.delays(
        [request(), request(rescheduled=True), request(rescheduled=True)]
    )
    assert rescheduled == [0, 0]
    assert new > 0


def test_rate_holds_over_seconds(redis: Redis) -> None:
    limit, sent, start, batch = rate_limit(redis, bulk=50), 0, monotonic(), 0
    while monotonic() - start < 1 or batch == 5:  # send also what a stall left
        batch = limit.delays([request(rescheduled=True) for _ in range(5)]).count(0)
        sent += batch
    assert 45 <= sent - 50 <= 51 * (monotonic() - start)


@pytest.mark.slow
def test_without_redis_rates_are_not_limited(caplog: pytest.LogCaptureFixture) -> None:
    down = SenderRateLimit(Redis(port=1, socket_connect_timeout=0.2), CircuitBreaker(), {"*": 1})
    assert down.delays([request() for _ in range(5)]) == [0] * 5
    assert "sender rates are not limited" in caplog.text


def test_rate_of_an_account_comes_before_that_of_any_account(redis: Redis) -> None:
    rates = {"bulk": 5, "*": 1, "twilio:shop:bulk": 2, "twilio:shop:*": 3}
    limit = rate_limit(redis, **rates)
    for sender, rate in {
        "twilio/shop:bulk": 2,
        "twilio/shop:other": 3,
        "twilio:bulk": 5,
        "twilio/alerts:bulk": 5,
        "sinch/shop:bulk": 5,
        "sinch/shop:other": 1,
    }.items():
        delays = limit.delays([request(sender) for _ in range(8)])
        assert delays.count(0) == rate, sender
