"""Which endpoints are owed the event of a changed message."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update

from service.database import db, transaction
from service.models import Client, Event, Message, WebhookDelivery
from service.recording import record
from service.sending.claim import claim
from tests.fakes import said
from tests.messages import Post
from tests.service.webhooks.owed import add_endpoints, change

pytestmark = pytest.mark.usefixtures("events_told")

URL = "https://hooks.example.com/a"
NOW = datetime.now(UTC)


@pytest.fixture
def attempt_id(post: Post) -> UUID:
    """The attempt of a message that is being sent."""
    post()
    [claimed] = claim(10)
    return claimed.outbound.attempt_id


def report(attempt_id: UUID, word: str) -> None:
    record.record([said(word, attempt_id=attempt_id, sid=f"SM{attempt_id.hex}")])


def owed() -> list[WebhookDelivery]:
    db.session.rollback()
    return list(db.session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def test_only_the_statuses_of_the_endpoint_are_owed(client_id: int, attempt_id: UUID) -> None:
    [endpoint_id] = add_endpoints(client_id, [URL])
    for word in ("queued", "sent", "delivered"):
        report(attempt_id, word)
    [delivery] = owed()
    events = db.session.scalars(select(Event).order_by(Event.id)).all()
    assert [event.status for event in events] == ["queued", "sent", "delivered"]
    assert (delivery.endpoint_id, delivery.event_id) == (endpoint_id, events[-1].id)
    assert (delivery.message_id, delivery.attempts) == (events[-1].message_id, 0)
    assert delivery.id.version == 7
    assert abs(delivery.due_at - delivery.created_at).total_seconds() == 0
    assert delivery.created_at == events[-1].created_at


def test_ids_of_deliveries_tell_their_time(client_id: int, attempt_id: UUID) -> None:
    add_endpoints(client_id, [URL] * 3)
    report(attempt_id, "delivered")
    deliveries = owed()
    assert len({delivery.id for delivery in deliveries}) == 3
    for delivery in deliveries:
        milliseconds = int(delivery.created_at.timestamp() * 1000)
        assert delivery.id.int >> 80 == milliseconds


@pytest.mark.parametrize(
    "fields", [{"disabled_at": NOW}, {"deleted_at": NOW}, {"types": ["other"]}, {"statuses": []}]
)
def test_nothing_is_owed_to_an_endpoint_that_is_not_told(
    client_id: int, attempt_id: UUID, fields: dict[str, object]
) -> None:
    [endpoint_id] = add_endpoints(client_id, [URL])
    change(endpoint_id, **fields)
    report(attempt_id, "delivered")
    assert owed() == []


def test_nothing_is_owed_to_another_client(context: Flask, attempt_id: UUID) -> None:
    other = Client(name="other", created_at=NOW)
    db.session.add(other)
    db.session.commit()
    add_endpoints(other.id, [URL])
    report(attempt_id, "delivered")
    assert owed() == []


def test_message_with_an_endpoint_is_owed_to_that_one(client_id: int, attempt_id: UUID) -> None:
    _, named = add_endpoints(client_id, [URL, URL])
    with transaction():
        db.session.execute(update(Message).values(webhook_endpoint_id=named))
    report(attempt_id, "delivered")
    assert [delivery.endpoint_id for delivery in owed()] == [named]
