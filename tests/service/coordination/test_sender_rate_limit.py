"""The pace of senders: shared by all replicas, counted in segments, unlimited without Redis."""

from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from flask import Flask
from redis import Redis

from service.coordination.circuit_breaker import CircuitBreaker
from service.coordination.sender_rate_limit import SenderRateLimit, SendRequest


@pytest.fixture
def redis(app: Flask, redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, protocol=2) as redis:
        yield redis


def pace(redis: Redis, **rates: float) -> SenderRateLimit:
    return SenderRateLimit(redis, CircuitBreaker(), rates)


def ask(
    sender: str = "twilio:bulk", line: str = "1:1", segments: int = 1, *, again: bool = False
) -> SendRequest:
    return SendRequest(sender, line, segments, again)


def test_a_second_of_segments_may_go_and_the_rest_gets_times_at_the_rate(redis: Redis) -> None:
    waits = pace(redis, bulk=10).delays([ask() for _ in range(30)])
    assert waits[:10] == [0] * 10
    assert waits[10:] == sorted(waits[10:])
    assert 1.8 < waits[-1] - waits[10] < 2.0
    assert all(0 < wait < 2.1 for wait in waits[10:])


def test_a_long_text_takes_the_time_of_its_segments(redis: Redis) -> None:
    waits = pace(redis, bulk=10).delays([ask(segments=10), ask(segments=10), ask()])
    assert waits[0] == 0
    assert waits[2] - waits[1] == pytest.approx(1, abs=0.01)


def test_replicas_share_the_bucket_of_a_sender(redis: Redis) -> None:
    first, second = pace(redis, bulk=10), pace(redis, bulk=10)
    gone = first.delays([ask() for _ in range(8)]) + second.waits([ask() for _ in range(8)])
    assert gone.count(0) in (10, 11)  # one more where a tenth of a second lies between


def test_each_sender_of_each_provider_has_a_bucket_of_its_own(redis: Redis) -> None:
    paced = pace(redis, **{"*": 1})
    senders = ("twilio:+15005550006", "sinch:+15005550006", "twilio:MG1", "twilio:whatsapp:+1")
    assert paced.delays([ask(one) for one in senders]) == [0, 0, 0, 0]


def test_a_sender_without_a_rate_never_waits(redis: Redis) -> None:
    assert pace(redis, bulk=1).delays([ask("twilio:other") for _ in range(99)]) == [0] * 99


def test_nobody_waits_behind_the_line_of_another(redis: Redis) -> None:
    paced = pace(redis, bulk=10)
    paced.delays([ask(line="1:1") for _ in range(1000)])
    [other, urgent, behind] = paced.delays([ask(line="2:1"), ask(line="1:0"), ask(line="1:1")])
    assert other < 1
    assert urgent < 1
    assert behind > 90


def test_whoever_was_in_line_goes_before_whoever_comes_new(redis: Redis) -> None:
    paced = pace(redis, bulk=10)
    waits = paced.delays([ask() for _ in range(14)])
    sleep(waits[11] + 0.03)  # the times of two have come
    new, *lined_up = paced.delays([ask(), ask(again=True), ask(again=True)])
    assert lined_up == [0, 0]
    assert new > 0


def test_over_seconds_no_more_goes_out_than_the_rate(redis: Redis) -> None:
    paced, gone, start = pace(redis, bulk=50), 0, monotonic()
    while monotonic() - start < 1:
        gone += paced.delays([ask(again=True) for _ in range(5)]).count(0)
    assert 45 <= gone - 50 <= 51 * (monotonic() - start)


def test_without_redis_sends_go_on_unlimited(caplog: pytest.LogCaptureFixture) -> None:
    away = SenderRateLimit(Redis(port=1, socket_connect_timeout=0.2), CircuitBreaker(), {"*": 1})
    assert away.delays([ask() for _ in range(5)]) == [0] * 5
    assert "sends have no limit" in caplog.text
