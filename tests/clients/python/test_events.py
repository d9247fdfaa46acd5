"""The iterator skips no event: not across restarts, faults, or a stop."""

import json
from threading import Thread
from time import monotonic
from typing import Any

import httpx
import pytest

from waybill_client import CursorExpired, Events, ServerError, Unauthenticated, Waybill
from waybill_client.fake import FakeWaybill

HELLO: dict[str, Any] = {"to": "+14155552671", "body": "Hello"}


@pytest.fixture
def fake() -> FakeWaybill:
    return FakeWaybill()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between requests, which take no time."""
    taken = list[float]()

    monkeypatch.setattr(Events, "_sleep", lambda _, seconds: taken.append(seconds))
    return taken


def messages(fake: FakeWaybill, count: int) -> list[str]:
    """Send messages that each get one event; return their ids."""
    waybill = fake.client()
    ids = [waybill.send(**HELLO)["id"] for _ in range(count)]
    for message_id in ids:
        fake.set_status(message_id, "delivered")
    return ids


def take(events: Events, count: int) -> list[str]:
    return [event["data"]["id"] for event, _ in zip(events, range(count), strict=False)]


def test_events_come_in_order_over_pages(fake: FakeWaybill) -> None:
    ids = messages(fake, 250)
    events = fake.client().events(wait=0)
    assert [next(events)["data"]["id"] for _ in range(250)] == ids
    assert [path for _, path in fake.requests].count("/v1/events") == 3


@pytest.mark.parametrize("handled", [1, 99, 100, 101, 150, 200])
def test_restart_repeats_but_never_skips(fake: FakeWaybill, handled: int) -> None:
    ids = messages(fake, 210)
    events = fake.client().events(wait=0)
    first = [next(events)["data"]["id"] for _ in range(handled)]
    again = fake.client().events(after=events.cursor, wait=0)
    rest = list[str]()
    while not rest or rest[-1] != ids[-1]:
        rest.append(next(again)["data"]["id"])
    assert first == ids[:handled]
    # The last event that was handed out may not have been handled.
    assert ids[handled - 1] in rest
    assert rest == ids[len(ids) - len(rest) :]
    assert len(rest) <= len(ids) - handled + 100


@pytest.mark.parametrize("status", [429, 502, 503])
def test_outage_of_any_length_is_survived(
    fake: FakeWaybill, pauses: list[float], status: int
) -> None:
    ids = messages(fake, 1)
    fake.answer_next(status, times=50)
    fake.lose_next_answer(50)
    assert next(fake.client(deadline=1).events(wait=0))["data"]["id"] == ids[0]
    assert len(pauses) == 100
    assert 60 <= max(pauses) <= 75


def test_server_that_restarts_between_pages_loses_nothing(fake: FakeWaybill) -> None:
    ids = messages(fake, 250)
    events = fake.client().events(wait=0)
    seen = [next(events)["data"]["id"] for _ in range(100)]
    fake.lose_next_answer(3)
    seen += [next(events)["data"]["id"] for _ in range(150)]
    assert seen == ids


def test_error_in_waybill_is_raised_after_one_retry(fake: FakeWaybill) -> None:
    messages(fake, 1)
    fake.answer_next(500, times=2)
    with pytest.raises(ServerError):
        next(fake.client().events(wait=0))


def test_expired_cursor_is_raised_with_the_way_on(fake: FakeWaybill) -> None:
    messages(fake, 2)
    fake.forget_events()
    [third] = messages(fake, 1)
    with pytest.raises(CursorExpired):
        next(fake.client().events(after="0", wait=0))
    assert next(fake.client().events(wait=0))["data"]["id"] == third


def test_refused_key_ends_the_iteration(fake: FakeWaybill) -> None:
    with pytest.raises(Unauthenticated):
        next(fake.client(api_key="wb_other").events(wait=0))


def test_stop_ends_the_iteration_and_keeps_the_cursor(fake: FakeWaybill) -> None:
    ids = messages(fake, 3)
    events = fake.client().events(wait=0)
    seen = list[str]()
    for event in events:
        seen.append(event["data"]["id"])
        if len(seen) == 2:
            events.stop()
    assert seen == ids[:2]
    assert list(events) == []
    assert next(fake.client().events(after=events.cursor, wait=0))["data"]["id"] == ids[0]


def test_stop_in_another_thread_ends_a_wait(fake: FakeWaybill) -> None:
    events = fake.client().events(wait=0.2)
    thread = Thread(target=list, args=(events,))
    thread.start()
    events.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_stop_ends_the_wait_for_a_server_that_is_away(
    fake: FakeWaybill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answer_next(503, times=9)
    events = fake.client().events(wait=0)
    monkeypatch.setattr(Events, "_sleep", lambda self, _: self.stop())
    assert list(events) == []
    assert len(fake.requests) == 1


def test_waiting_request_returns_with_the_next_event(fake: FakeWaybill) -> None:
    message_id, started = fake.client().send(**HELLO)["id"], monotonic()
    seen = list[str]()
    events = fake.client().events(wait=20)
    thread = Thread(target=lambda: seen.append(next(events)["data"]["id"]))
    thread.start()
    fake.deliver(message_id)
    thread.join(15)
    assert seen == [message_id]
    assert monotonic() - started < 15


def test_server_that_does_not_wait_is_not_asked_all_the_time(pauses: list[float]) -> None:
    stopping = list[Events]()

    def answer(request: httpx.Request) -> httpx.Response:
        if len(pauses) == 3:
            stopping[0].stop()
        page = {"events": [], "next_cursor": str(len(pauses)), "has_more": False}
        return httpx.Response(200, json=page)

    transport = httpx.MockTransport(answer)
    stopping.append(Waybill("http://waybill.test", "k", transport=transport).events())
    assert list(stopping[0]) == []
    assert pauses[:3] == pytest.approx([1, 1, 1], abs=0.5)
    assert stopping[0].cursor == "2"


def test_request_waits_longer_than_the_server() -> None:
    timeouts, parameters = list[Any](), list[Any]()

    def answer(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        parameters.append(dict(request.url.params))
        event = {"id": "evt_1", "type": "message.updated", "data": {"id": "m"}}
        page = {"events": [event], "next_cursor": "1", "has_more": False}
        return httpx.Response(200, content=json.dumps(page))

    transport = httpx.MockTransport(answer)
    waybill = Waybill("http://waybill.test", "k", timeout=7, transport=transport)
    assert take(waybill.events(after="now", types=["a", "b"]), 1) == ["m"]
    assert timeouts[0] == {"connect": 7, "read": 32, "write": 7, "pool": 7}
    assert parameters[0] == {"after": "now", "types": "a,b", "wait": "25", "limit": "100"}
