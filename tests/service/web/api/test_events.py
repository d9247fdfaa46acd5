"""`GET /v1/events`: cursors, types, waiting, and whose events a client sees."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from service.database import db, transaction
from service.event_feed import read as feed
from service.models import Event
from service.queries import events
from service.recording import record
from service.sending import deliver
from service.web import thread_limit
from tests.conftest import make_key
from tests.fakes import FakeProvider, said
from tests.messages import assert_soon

pytestmark = pytest.mark.usefixtures("context", "events_told")

Configure = Callable[..., None]
HELLO = {"to": "+14155552671", "body": "Your code is 123456"}


def send(web: FlaskClient, provider: FakeProvider) -> str:
    """Send a message that is queued and then delivered: two events."""
    message_id = web.post("/v1/messages", json=HELLO).json["id"]
    deliver.deliver()
    record.record([said("delivered", attempt_id=provider.on_air[-1].attempt_id)])
    return str(message_id)


def get(web: FlaskClient, query: str = "") -> dict[str, Any]:
    answer = web.get(f"/v1/events?{query}")
    assert answer.status_code == 200, answer.json
    page: dict[str, Any] = answer.json
    return page


def ids(page: dict[str, Any]) -> list[str]:
    return [event["id"] for event in page["events"]]


def test_event_shows_the_message_as_get_does(web: FlaskClient, provider: FakeProvider) -> None:
    message_id = send(web, provider)
    shown = web.get(f"/v1/messages/{message_id}").json
    first, second = get(web)["events"]
    assert first["data"] == second["data"] == shown
    assert {first["type"], second["type"]} == {"message.updated"}


def test_pages_are_behind_each_other(web: FlaskClient, provider: FakeProvider) -> None:
    for _ in range(2):
        send(web, provider)
    everything = ids(get(web))
    assert len(set(everything)) == 4

    first = get(web, "limit=3")
    second = get(web, f"limit=3&after={first['next_cursor']}")
    assert ids(first) + ids(second) == everything
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert get(web, f"after={second['next_cursor']}")["events"] == []


def test_full_last_page_has_no_more(web: FlaskClient, provider: FakeProvider) -> None:
    send(web, provider)
    page = get(web, "limit=2")
    assert (len(page["events"]), page["has_more"]) == (2, False)


def test_now_is_behind_everything(web: FlaskClient, provider: FakeProvider) -> None:
    send(web, provider)
    start = get(web, "after=now")
    assert (start["events"], start["has_more"]) == ([], False)
    later = send(web, provider)
    page = get(web, f"after={start['next_cursor']}")
    assert {event["data"]["id"] for event in page["events"]} == {later}


def test_client_sees_no_event_of_another(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    send(web, provider)
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(app, 'other')}"
    assert get(other)["events"] == []
    assert get(other, f"after={get(web, 'limit=1')['next_cursor']}")["events"] == []


def test_types_select_events(web: FlaskClient, provider: FakeProvider) -> None:
    send(web, provider)
    everything = ids(get(web))
    for query in ("types=message.updated", "types=message.updated,message.updated",
                  "types=message.updated&types=message.updated"):  # fmt: skip
        assert ids(get(web, query)) == everything


def test_test_of_an_endpoint_is_not_shown(web: FlaskClient, provider: FakeProvider) -> None:
    send(web, provider)
    with transaction():
        client_id = db.session.scalars(db.select(Event.client_id)).first()
        events.append_test(client_id or 0, datetime.now(UTC))
    assert len(get(web)["events"]) == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("types=message.deleted", "types.0"),
        ("types=message.updated,x", "types.1"),
        ("types=", "types.0"),
        ("after=", "after"),
        ("after=12", "after"),
        ("after=0-0", "after"),
        ("after=abcdef-1-1-99999999999999999", "after"),
        ("wait=26", "wait"),
        ("wait=-1", "wait"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("cursor=now", "cursor"),
    ],
)
def test_unreadable_parameter_is_422(web: FlaskClient, query: str, field: str) -> None:
    answer = web.get(f"/v1/events?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


# Cursors that have ended


def aged(cursor: str, days: float) -> str:
    """A cursor that was given so many days ago."""
    *position, time_ms = cursor.split("-")
    return "-".join([*position, str(int(time_ms) - int(days * 86_400_000))])


def test_cursor_older_than_the_events_is_gone(web: FlaskClient, configure: Configure) -> None:
    configure(keep_events=30)
    cursor = get(web)["next_cursor"]
    assert web.get(f"/v1/events?after={aged(cursor, 29.9)}").status_code == 200
    answer = web.get(f"/v1/events?after={aged(cursor, 30.1)}")
    assert answer.status_code == 410
    assert answer.content_type == "application/problem+json"
    assert "GET /v1/messages" in answer.json["detail"]


def test_cursor_behind_an_old_event_is_as_old(
    web: FlaskClient, provider: FakeProvider, configure: Configure
) -> None:
    """Although it was given now: what is behind it may be deleted soon."""
    configure(keep_events=30)
    send(web, provider)
    with transaction():
        old = datetime.now(UTC) - timedelta(days=20)
        db.session.execute(update(Event).values(created_at=old))
    page = get(web, "limit=1")
    assert web.get(f"/v1/events?after={aged(page['next_cursor'], 9)}").status_code == 200
    assert web.get(f"/v1/events?after={aged(page['next_cursor'], 11)}").status_code == 410
    # With everything read it is as new as the answer.
    page = get(web, "limit=2")
    assert web.get(f"/v1/events?after={aged(page['next_cursor'], 29)}").status_code == 200


def test_empty_answer_renews_the_cursor(web: FlaskClient, configure: Configure) -> None:
    configure(keep_events=30)
    cursor = aged(get(web)["next_cursor"], 29.9)
    renewed = get(web, f"after={cursor}")["next_cursor"]
    assert web.get(f"/v1/events?after={aged(renewed, 29.9)}").status_code == 200


def test_first_page_ends_no_cursor(
    web: FlaskClient, provider: FakeProvider, configure: Configure
) -> None:
    """Expired events that are not purged yet are left out: their cursor would be gone."""
    configure(keep_events=30)
    send(web, provider)
    with transaction():
        expired = datetime.now(UTC) - timedelta(days=31)
        db.session.execute(update(Event).where(Event.status == "queued").values(created_at=expired))
    page = get(web, "limit=1")
    assert [event["data"]["status"] for event in page["events"]] == ["delivered"]
    get(web, f"after={page['next_cursor']}")


def test_cursor_of_lost_transactions_is_gone(web: FlaskClient) -> None:
    """As after a switch to a server that had not received the last transactions."""
    feed_mark, transaction_id, event_id, time_ms = get(web)["next_cursor"].split("-")
    number = 0 if transaction_id == "0" else int(transaction_id) + 1_000_000
    lost = f"{feed_mark}-{number}-{int(event_id) + 1_000_000}-{time_ms}"
    assert web.get(f"/v1/events?after={lost}").status_code == 410


def test_high_transaction_numbers_are_read(web: FlaskClient, provider: FakeProvider) -> None:
    """They have 64 bits."""
    mark, _, _, time_ms = get(web)["next_cursor"].split("-")
    answer = web.get(f"/v1/events?after={mark}-{2**40}-{2**40}-{time_ms}")
    assert answer.status_code == 410


# Waiting


def test_waiting_request_gets_an_event_when_it_comes(
    web: FlaskClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, waits = get(web, "after=now")["next_cursor"], Flag()
    sleep = time.sleep

    def note(seconds: float) -> None:
        waits.set()
        sleep(seconds)

    monkeypatch.setattr(feed, "sleep", note)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, web, f"after={start}&wait=25")
        assert waits.wait(10)
        message_id = web.post("/v1/messages", json=HELLO).json["id"]
        deliver.deliver()
        page = waiting.result(20)
    assert [event["data"]["id"] for event in page["events"]] == [message_id]


def test_wait_without_an_event_ends_with_an_empty_page(web: FlaskClient) -> None:
    began = time.monotonic()
    page = get(web, "after=now&wait=0.7")
    assert (page["events"], page["has_more"]) == ([], False)
    assert time.monotonic() - began >= 0.7


def test_request_that_finds_events_does_not_wait(web: FlaskClient, provider: FakeProvider) -> None:
    send(web, provider)
    began = time.monotonic()
    assert get(web, "wait=25")["events"]
    assert time.monotonic() - began < 20


def test_waiting_request_holds_no_connection(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = list[int]()
    monkeypatch.setattr(feed, "sleep", lambda _: held.append(db.engine.pool.checkedout()))
    before = db.engine.pool.checkedout()
    get(web, "after=now&wait=0.1")
    assert set(held) == {before}


def test_requests_over_the_bound_are_answered_without_waiting(
    web: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_limit.limit_waiting(app, limit=8)
    started, go_on = list[float](), Flag()

    def hold(seconds: float) -> None:
        started.append(seconds)
        go_on.wait(10)

    monkeypatch.setattr(feed, "sleep", hold)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(get, app_client(web), "after=now&wait=1") for _ in range(2)]
        assert_soon(lambda: len(started) == 2)
        assert get(web, "after=now&wait=25")["events"] == []
        assert len(started) == 2
        go_on.set()
        for request in waiting:
            request.result(20)
    monkeypatch.undo()
    began = time.monotonic()
    get(web, "after=now&wait=0.6")
    assert time.monotonic() - began >= 0.6, "they wait again when others have ended"


def app_client(web: FlaskClient) -> FlaskClient:
    client = web.application.test_client()
    client.environ_base.update(web.environ_base)
    return client


@pytest.mark.parametrize(("limit", "waits"), [(1, 0), (2, 1), (3, 1), (7, 1), (8, 2), (64, 16)])
def test_some_threads_never_wait(app: Flask, limit: int, waits: int) -> None:
    thread_limit.limit_waiting(app, limit)
    with app.app_context():
        held = [thread_limit.waiting() for _ in range(limit)]
        assert [each.__enter__() for each in held].count(True) == waits
        for each in held:
            each.__exit__(None, None, None)
    thread_limit.limit_waiting(app, 64)
