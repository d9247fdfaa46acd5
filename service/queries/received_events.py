"""Adds the events of inbound messages, and the deliveries that webhook endpoints are owed.

One statement for the events of a batch, and one for its deliveries.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import CursorResult, Table, insert, literal, or_, select

from service.database import db
from service.models import Client, Event, InboundMessage, Message, WebhookDelivery, WebhookEndpoint
from service.queries.dialect import any_of, has_text
from service.queries.events import MESSAGE_RECEIVED, transaction_number
from service.queries.random_ids import random_id, time_prefix

_EVENT: Final = ("transaction_id", "client_id", "type", "message_id", "created_at")
_DELIVERY: Final = (
    "id", "endpoint_id", "event_id", "message_id", "created_at", "due_at", "attempts"
)  # fmt: skip
_DELIVERIES: Final = cast(Table, WebhookDelivery.__table__)


def add_events(inbound_ids: Collection[UUID], now: datetime) -> int:
    """Add an event for each of these messages whose client has asked for events.

    Returns how many deliveries are owed to endpoints.
    """
    events = insert(Event).from_select(_EVENT, _received(inbound_ids, now)).returning(Event.id)
    ids = db.session.scalars(events).all()
    if not ids:
        return 0
    deliveries = insert(_DELIVERIES).from_select(_DELIVERY, _owed(ids, now))
    # Without the option the count of an INSERT is -1.
    options = {"preserve_rowcount": True}
    result = db.session.connection().execute(deliveries, execution_options=options)
    return cast(CursorResult[Any], result).rowcount


def _received(inbound_ids: Collection[UUID], now: datetime) -> Any:
    """Select the columns of an event."""
    values = (transaction_number(), InboundMessage.client_id, literal(MESSAGE_RECEIVED))
    return (
        select(*values, InboundMessage.id, literal(now, Event.created_at.type))
        .join(Client, Client.id == InboundMessage.client_id)
        .where(any_of(InboundMessage.id, inbound_ids), Client.events_since.is_not(None))
        .order_by(InboundMessage.id)
    )


def _owed(event_ids: Collection[int], now: datetime) -> Any:
    """Select the columns of a delivery, for each event and each endpoint that is told of it.

    A reply goes to the endpoint of the message that it answers, where that names one.
    """
    prefix, time = literal(time_prefix(now)), literal(now, WebhookDelivery.due_at.type)
    only = Message.webhook_endpoint_id
    return (
        select(
            random_id(prefix),
            WebhookEndpoint.id,
            Event.id,
            Event.message_id,
            time,
            time,
            literal(0),
        )
        .join_from(Event, WebhookEndpoint, WebhookEndpoint.client_id == Event.client_id)
        .join(InboundMessage, InboundMessage.id == Event.message_id)
        .outerjoin(Message, Message.id == InboundMessage.in_reply_to)
        .where(
            any_of(Event.id, event_ids),
            WebhookEndpoint.deleted_at.is_(None),
            WebhookEndpoint.disabled_at.is_(None),
            or_(only.is_(None), only == WebhookEndpoint.id),
            has_text(WebhookEndpoint.types, literal(MESSAGE_RECEIVED)),
        )
    )
