"""Events are written for clients that ask for them, and then nothing of the past is missing."""

import threading
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from service.database import db, transaction
from service.domain.report import StatusReport
from service.errors import OutcomeUnknown
from service.event_feed import start
from service.event_feed.start import ensure_started
from service.models import Client, Event
from service.providers.base import Outbound
from service.queries.dialect import is_postgresql
from service.recording import record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

HELLO = {"to": "+14155552671", "body": "Your code is 123456"}


def count_events() -> int:
    db.session.rollback()
    return int(db.session.scalars(select(func.count()).select_from(Event)).one())


def test_no_event_is_written_for_a_client_that_reads_none(
    context: Flask, web: FlaskClient, provider: FakeProvider
) -> None:
    web.post("/v1/messages", json=HELLO)
    deliver.deliver()
    assert count_events() == 0


def test_doubt_writes_no_event_for_a_client_that_reads_none(
    context: Flask, web: FlaskClient, provider: FakeProvider
) -> None:
    def lost(outbound: Outbound) -> StatusReport:
        raise OutcomeUnknown("no answer")

    provider.script = lost
    message_id = web.post("/v1/messages", json=HELLO).json["id"]
    deliver.deliver()
    assert web.get(f"/v1/messages/{message_id}").json["status"] == "in_doubt"
    assert count_events() == 0


def test_first_request_shows_each_earlier_message_once(
    context: Flask, web: FlaskClient, provider: FakeProvider
) -> None:
    ids = [web.post("/v1/messages", json=HELLO).json["id"] for _ in range(2)]
    deliver.deliver()
    record.record([said("delivered", attempt_id=provider.on_air[0].attempt_id)])

    first = web.get("/v1/events").json
    assert [event["data"]["id"] for event in first["events"]] == ids
    assert {event["data"]["status"] for event in first["events"]} == {"delivered", "queued"}
    record.record([said("delivered", attempt_id=provider.on_air[1].attempt_id)])
    [later] = web.get(f"/v1/events?after={first['next_cursor']}").json["events"]
    assert later["data"]["status"] == "delivered"


def test_only_the_newest_earlier_messages_have_an_event(
    context: Flask, web: FlaskClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "MOST_EARLIER", 1)
    ids = [web.post("/v1/messages", json=HELLO).json["id"] for _ in range(2)]
    assert [event["data"]["id"] for event in web.get("/v1/events").json["events"]] == ids[1:]


def test_process_that_dies_at_the_start_leaves_the_rest_to_the_next(
    client_id: int, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = post()
    with monkeypatch.context() as dying:
        dying.setattr(start, "wait_for_earlier", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ensure_started(client_id)
    ensure_started(client_id)
    ensure_started(client_id)
    db.session.rollback()
    assert db.session.scalars(select(Event.message_id)).all() == [message_id]


def test_change_that_began_before_the_start_is_not_missed(
    context: Flask, client_id: int, post: Post, provider: FakeProvider
) -> None:
    """A recorder that saw no reader commits after the start: its message gets an earlier event."""
    if not is_postgresql():
        pytest.skip("on SQLite one transaction writes at a time")
    message_id, started = post(), threading.Event()
    deliver.deliver()

    def start_events() -> None:
        with context.app_context():
            started.set()
            ensure_started(client_id)

    thread = threading.Thread(target=start_events)
    with transaction():
        record.apply([said("delivered", attempt_id=provider.on_air[0].attempt_id)])
        thread.start()
        started.wait()
        thread.join(0.3)  # without the wait for this transaction it would have ended
    thread.join()
    db.session.rollback()
    [(event_message, status)] = db.session.execute(select(Event.message_id, Event.status)).all()
    assert (event_message, status) == (UUID(str(message_id)), "delivered")


def test_endpoint_starts_the_events_of_its_client(
    web: FlaskClient, context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.webhooks.endpoints.checked_url", lambda url: url)
    web.post("/v1/webhook-endpoints", json={"url": "https://hooks.example.com"})
    assert db.session.scalars(select(Client.events_complete)).all() == [True]


def test_reader_costs_no_events_of_other_clients(
    context: Flask, web: FlaskClient, client_id: int, post: Post, provider: FakeProvider
) -> None:
    ensure_started(client_id)
    ids = [post(), UUID(web.post("/v1/messages", json=HELLO).json["id"])]
    deliver.deliver()
    assert {outbound.to for outbound in provider.on_air} == {HELLO["to"]}
    record.record([said("delivered", attempt_id=each.attempt_id) for each in provider.on_air])
    db.session.rollback()
    assert set(db.session.scalars(select(Event.message_id))) == {ids[0]}
