"""Adds the events of inbound messages, and the deliveries that webhook endpoints are owed.

One statement for the events of a batch, and one for its deliveries.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, literal, select

from service.database import db
from service.models import Client, Event, InboundMessage, Message, WebhookEndpoint
from service.queries.dialect import any_of
from service.queries.events import MESSAGE_RECEIVED, transaction_number
from service.queries.owed_events import (
    DELIVERIES,
    DELIVERY,
    EVENTS,
    NOW,
    inserted,
    owed,
    subscribed,
)
from service.queries.random_ids import time_prefix

_EVENT: Final = ("transaction_id", "client_id", "type", "message_id", "created_at")


def add_events(inbound_ids: Collection[UUID], now: datetime) -> int:
    """Add an event for each of these messages whose client has asked for events.

    Returns how many deliveries are owed to endpoints.
    """
    sent = {"now": now, "prefix": time_prefix(now)}
    events = insert(EVENTS).from_select(_EVENT, _received(inbound_ids)).returning(EVENTS.c.id)
    ids = db.session.scalars(events, sent).all()
    return inserted(insert(DELIVERIES).from_select(DELIVERY, _owed(ids)), sent) if ids else 0


def _received(inbound_ids: Collection[UUID]) -> Any:
    """Select the columns of an event."""
    values = (transaction_number(), InboundMessage.client_id, literal(MESSAGE_RECEIVED))
    return (
        select(*values, InboundMessage.id, NOW)
        .join(Client, Client.id == InboundMessage.client_id)
        .where(any_of(InboundMessage.id, inbound_ids), Client.events_since.is_not(None))
        .order_by(InboundMessage.id)
    )


def _owed(event_ids: Collection[int]) -> Any:
    """Select the columns of a delivery, for each event and each endpoint to which it goes.

    A reply goes to the endpoint of the message that it answers, where that names one.
    """
    return (
        owed(Event.id, Event.message_id)
        .join_from(Event, WebhookEndpoint, WebhookEndpoint.client_id == Event.client_id)
        .join(InboundMessage, InboundMessage.id == Event.message_id)
        .outerjoin(Message, Message.id == InboundMessage.in_reply_to)
        .where(
            any_of(Event.id, event_ids), *subscribed(MESSAGE_RECEIVED, Message.webhook_endpoint_id)
        )
    )
