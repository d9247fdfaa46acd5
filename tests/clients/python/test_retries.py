"""What is repeated, when, and for how long; and that nothing is sent twice."""

import socket
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from typing import Any

import httpx
import pytest
from flask import Flask

from demo.servers import free_port
from tests.clients.python.faulty_server import FAULTS, FaultyServer, faulty_server
from waybill_client import (
    Conflict,
    NoAnswer,
    Problem,
    RateLimited,
    ServerError,
    Waybill,
    WaybillError,
    retries,
)
from waybill_client.fake import FakeWaybill

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")

HELLO: dict[str, Any] = {"to": "+14155552671", "body": "Hello"}


class Clock:
    """Time that passes only during pauses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        assert len(self.pauses) < 200, "there is no end"
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retries, "monotonic", lambda: clock.now)
    monkeypatch.setattr(retries, "sleep", clock.sleep)
    monkeypatch.setattr(retries.random, "uniform", lambda low, high: low)
    return clock


@pytest.fixture
def fake() -> FakeWaybill:
    return FakeWaybill()


# Nothing is sent twice


@pytest.fixture
def faulty(app: Flask) -> Iterator[FaultyServer]:
    with faulty_server(app) as server:
        yield server


SLOW = {"hang", "hang after", "drip"}  # these end by a time-out


@on_sqlite
@pytest.mark.parametrize("fault", FAULTS)
def test_send_with_a_fault_sends_once(
    faulty: FaultyServer, key: str, clock: Clock, fault: str
) -> None:
    faulty.plan.append(fault)
    sent = Waybill(faulty.url, key, timeout=1 if fault in SLOW else 10).send(**HELLO)
    assert list(Waybill(faulty.url, key).messages()) == [sent]
    keys = [key for method, _, key in faulty.requests if method == "POST"]
    assert len(keys) >= 2
    assert len(set(keys)) == 1


@on_sqlite
def test_send_with_many_faults_sends_once(faulty: FaultyServer, key: str, clock: Clock) -> None:
    ends_it = ("500", "500 after")  # the second error in Waybill
    faulty.plan.extend(fault for fault in FAULTS if fault not in ends_it)
    sent = Waybill(faulty.url, key, timeout=1, deadline=600).send(**HELLO)
    assert list(Waybill(faulty.url, key).messages()) == [sent]


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("fault", ["cut after", "half", "503 after"])
def test_batch_with_faults_sends_each_message_once(
    faulty: FaultyServer, key: str, clock: Clock, fault: str
) -> None:
    waybill = Waybill(faulty.url, key)
    batch: Any = [{**HELLO, "reference": str(i)} for i in range(1005)]
    faulty.plan.extend([fault, "", fault])
    results = waybill.send_batch(batch)
    assert not any(isinstance(result, Problem) for result in results)
    stored = Counter(message["reference"] for message in waybill.messages(limit=200))
    assert stored == {str(i): 1 for i in range(1005)}


@on_sqlite
def test_send_repeated_by_the_caller_sends_once(
    faulty: FaultyServer, key: str, clock: Clock
) -> None:
    faulty.plan.append("cut after")
    with pytest.raises(NoAnswer) as failed:
        Waybill(faulty.url, key, deadline=0.5).send(**HELLO)
    waybill = Waybill(faulty.url, key)
    sent = waybill.send(**HELLO, idempotency_key=failed.value.idempotency_key)
    assert list(waybill.messages()) == [sent]


@on_sqlite
def test_hanging_server_ends_a_call_in_time(faulty: FaultyServer, key: str) -> None:
    faulty.plan.extend(["hang"] * 9)
    waybill, started = Waybill(faulty.url, key, timeout=0.5, deadline=2), monotonic()
    with pytest.raises(NoAnswer) as failed:
        waybill.send(**HELLO)
    assert failed.value.received
    assert monotonic() - started < 4.5


# Which answers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422])
def test_other_client_errors_are_not_repeated(fake: FakeWaybill, clock: Clock, status: int) -> None:
    fake.answer_next(status, retry_after=1)
    with pytest.raises(Problem) as refused:
        fake.client().send(**HELLO)
    assert refused.value.status == status
    assert (len(fake.requests), fake.messages, clock.pauses) == (1, [], [])


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_pauses_double_up_to_a_minute(fake: FakeWaybill, clock: Clock, status: int) -> None:
    fake.answer_next(status, times=8)
    fake.client(deadline=300).send(**HELLO)
    assert clock.pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_pauses_have_a_jitter_that_shortens_none(
    fake: FakeWaybill, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, float]] = []
    monkeypatch.setattr(retries.random, "uniform", lambda *range_: bounds.append(range_) or 1.1)
    fake.answer_next(503, retry_after=5)
    fake.client().send(**HELLO)
    assert bounds == [(1, 1.25)]
    assert clock.pauses == [pytest.approx(5.5)]


def test_error_in_waybill_is_repeated_once(fake: FakeWaybill, clock: Clock) -> None:
    fake.answer_next(500)
    assert fake.client().send(**HELLO)["status"] == "pending"
    fake.answer_next(500, times=2)
    with pytest.raises(ServerError):
        fake.client().send(**HELLO)
    assert len(fake.requests) == 4


def test_retry_after_in_seconds_is_heeded(fake: FakeWaybill, clock: Clock) -> None:
    fake.answer_next(429, retry_after=7)
    fake.client().send(**HELLO)
    assert clock.pauses == [7]


def test_retry_after_as_a_date_is_heeded(clock: Clock) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    answers = [
        httpx.Response(503, headers={"Retry-After": date}),
        httpx.Response(503, headers={"Retry-After": "soon"}),
        httpx.Response(200, json={"messages": [], "next_cursor": None}),
    ]
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    assert list(Waybill("http://waybill.test", "k", transport=transport).messages()) == []
    assert 18 < clock.pauses[0] <= 20
    assert clock.pauses[1] == pytest.approx(2 * clock.pauses[0])


# The deadline


def test_deadline_bounds_attempts_and_pauses(fake: FakeWaybill, clock: Clock) -> None:
    fake.answer_next(503, times=99)
    with pytest.raises(ServerError):
        fake.client(deadline=10).send(**HELLO)
    assert clock.pauses == [1, 2, 4]
    assert len(fake.requests) == 4


def test_retry_after_beyond_the_deadline_is_an_error(fake: FakeWaybill, clock: Clock) -> None:
    fake.answer_next(429, retry_after=600)
    with pytest.raises(RateLimited) as limited:
        fake.client().send(**HELLO)
    assert limited.value.retry_after == 600
    assert clock.pauses == []


def test_refused_connection_is_repeated_until_the_deadline(clock: Clock) -> None:
    with pytest.raises(NoAnswer) as failed:
        Waybill(f"http://127.0.0.1:{free_port()}", "k", deadline=20).send(**HELLO)
    assert not failed.value.received
    assert clock.pauses == [1, 2, 4, 8]


def test_unknown_host_is_no_answer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NoAnswer):
        Waybill("http://waybill.invalid", "k", deadline=2).send(**HELLO)


def test_large_batch_may_take_longer_but_not_beyond_the_deadline() -> None:
    timeouts = list[Any]()

    def answer(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        return httpx.Response(202, json={"results": []})

    batch: Any = [HELLO] * 1000
    for deadline in (60, 15):
        transport = httpx.MockTransport(answer)
        Waybill("http://w.test", "k", deadline=deadline, transport=transport).send_batch(batch)
    assert timeouts[0] == {"connect": 10, "read": 30, "write": 10, "pool": 10}
    assert timeouts[1]["read"] == pytest.approx(15, abs=1)


# Requests without a key


def test_lost_answer_to_a_resend_is_no_conflict(fake: FakeWaybill, clock: Clock) -> None:
    waybill = fake.client()
    message_id = waybill.send(**HELLO)["id"]
    fake.fail(message_id)
    fake.lose_next_answer()
    assert waybill.resend(message_id)["status"] == "pending"
    with pytest.raises(Conflict):
        waybill.resend(message_id)


def test_resend_that_was_delivered_meanwhile_is_no_conflict(
    fake: FakeWaybill, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waybill = fake.client()
    message_id = waybill.send(**HELLO)["id"]
    fake.fail(message_id)
    fake.lose_next_answer()
    monkeypatch.setattr(retries, "sleep", lambda _: fake.deliver(message_id))
    assert waybill.resend(message_id)["status"] == "delivered"


def test_wait_ends_while_the_server_is_away(fake: FakeWaybill, clock: Clock) -> None:
    waybill = fake.client(deadline=600)
    message_id = waybill.send(**HELLO)["id"]
    fake.answer_next(503, times=99)
    with pytest.raises(ServerError):
        waybill.wait(message_id, timeout=5)
    assert sum(clock.pauses) <= 10


def test_lost_answer_to_a_cancellation_is_repeated(fake: FakeWaybill, clock: Clock) -> None:
    waybill = fake.client()
    message_id = waybill.send(**HELLO)["id"]
    fake.lose_next_answer()
    assert waybill.cancel(message_id)["status"] == "canceled"
    assert len(fake.events) == 1


def test_endpoint_is_not_created_twice(fake: FakeWaybill, clock: Clock) -> None:
    endpoints = fake.client().webhook_endpoints
    fake.answer_next(429)
    endpoints.create(url="https://orders.example.com")
    fake.lose_next_answer()
    with pytest.raises(NoAnswer):
        endpoints.create(url="https://orders.example.com")
    assert len(endpoints.list()) == 2


# Keys


def test_each_send_has_a_key_of_its_own(clock: Clock) -> None:
    keys: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("Idempotency-Key"))
        return httpx.Response(202, json={"results": []})

    waybill = Waybill("http://waybill.test", "k", transport=httpx.MockTransport(answer))
    waybill.send(**HELLO)
    waybill.send(**HELLO)
    waybill.send_batch([{"to": "+14155552671"}])
    waybill.send(**HELLO, idempotency_key="order-1")
    waybill.get("01a1fd14-9522-7078-b19f-9ef257cf0b38")
    assert len(set(keys[:3])) == 3
    assert keys[3:] == ["order-1", None]


@pytest.mark.parametrize("key", ["", "é", "a\nb", "k" * 256])
def test_impossible_key_is_refused_before_a_request(fake: FakeWaybill, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency_key"):
        fake.client().send(**HELLO, idempotency_key=key)
    assert fake.requests == []


def test_key_too_long_for_the_last_part_sends_none(fake: FakeWaybill) -> None:
    batch: Any = [HELLO] * 1001
    with pytest.raises(ValueError, match="idempotency_key"):
        fake.client().send_batch(batch, idempotency_key="k" * 253)
    assert fake.requests == []


def test_answer_that_is_not_json_is_an_error(clock: Clock) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    with pytest.raises(WaybillError, match="JSON"):
        list(Waybill("http://waybill.test", "k", transport=transport).messages())
    assert clock.pauses == []
