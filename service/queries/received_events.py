"""Adds the events of inbound messages, and the deliveries that webhook endpoints are owed."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, insert, literal, select
from uuid_utils.compat import uuid7

from service.database import db
from service.models import Client, Event, InboundMessage, WebhookDelivery, WebhookEndpoint
from service.queries.dialect import any_of, has_text
from service.queries.events import MESSAGE_RECEIVED, transaction_number


def add_events(inbound_ids: Collection[UUID], now: datetime) -> int:
    """Add an event for each of these messages whose client has asked for events.

    Returns how many deliveries are owed to endpoints.
    """
    query = (
        select(InboundMessage.id, InboundMessage.client_id)
        .join(Client, Client.id == InboundMessage.client_id)
        .where(any_of(InboundMessage.id, inbound_ids), Client.events_since.is_not(None))
        .order_by(InboundMessage.id)
    )
    return sum(_add(row.id, row.client_id, now) for row in db.session.execute(query).all())


def _add(inbound_id: UUID, client_id: int, now: datetime) -> int:
    """Add one event. Persons answer far more seldom than providers call back."""
    values = {
        "transaction_id": transaction_number(),
        "client_id": client_id,
        "type": MESSAGE_RECEIVED,
        "message_id": inbound_id,
        "created_at": now,
    }
    event_id = db.session.scalars(insert(Event).values(**values).returning(Event.id)).one()
    deliveries = [
        {
            "id": uuid7(),
            "endpoint_id": endpoint_id,
            "event_id": event_id,
            "message_id": inbound_id,
            "created_at": now,
            "due_at": now,
            "attempts": 0,
        }
        for endpoint_id in db.session.scalars(_endpoints(client_id)).all()
    ]
    if deliveries:
        db.session.execute(insert(WebhookDelivery), deliveries)
    return len(deliveries)


def _endpoints(client_id: int) -> Select[UUID]:
    return select(WebhookEndpoint.id).where(
        WebhookEndpoint.client_id == client_id,
        WebhookEndpoint.deleted_at.is_(None),
        WebhookEndpoint.disabled_at.is_(None),
        has_text(WebhookEndpoint.types, literal(MESSAGE_RECEIVED)),
    )
