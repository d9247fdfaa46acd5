"""Adds the events of changed messages, and the deliveries that webhook endpoints are owed.

One statement, built once, which sends ids and returns a count: recording a callback costs 160 us of
CPU, reading its event back into Python cost 5 us more.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    Table,
    Text,
    bindparam,
    insert,
    literal,
    or_,
    select,
)

from service.database import db
from service.models import Client, Event, Message, WebhookDelivery, WebhookEndpoint
from service.models.types import UtcDateTime
from service.queries.dialect import (
    any_of_parameter,
    has_text,
    is_postgresql,
)
from service.queries.events import MESSAGE_UPDATED, transaction_number
from service.queries.random_ids import random_id, time_prefix

_EVENT: Final = (
    "transaction_id", "client_id", "type", "message_id", "status", "version", "created_at"
)  # fmt: skip
DELIVERY: Final = (
    "id", "endpoint_id", "event_id", "message_id", "created_at", "due_at", "attempts"
)  # fmt: skip
EVENTS: Final = cast(Table, Event.__table__)
DELIVERIES: Final = cast(Table, WebhookDelivery.__table__)
NOW: Final = bindparam("now", type_=UtcDateTime)


def add_events(message_ids: Collection[UUID], now: datetime) -> int:
    """Add an event for each of these messages as this transaction leaves it.

    Only for messages of clients that have asked for events. Returns how many deliveries are owed to
    their endpoints.
    """
    sent = {"ids": list(message_ids), "now": now, "prefix": time_prefix(now)}
    if is_postgresql():
        return inserted(_events_and_deliveries(), sent)
    # SQLite has no INSERT in WITH.
    ids = db.session.scalars(_events(), sent).all()
    return inserted(_deliveries(), {**sent, "first": min(ids)}) if ids else 0


def inserted(statement: Any, sent: Mapping[str, Any]) -> int:
    """Run an INSERT; return how many rows it added."""
    # Without the option the count of an INSERT is -1.
    connection, options = db.session.connection(), {"preserve_rowcount": True}
    result = connection.execute(statement, sent, execution_options=options)
    return cast(CursorResult[Any], result).rowcount


@cache
def _events_and_deliveries() -> Any:
    changed = _changed().cte("changed")
    added = _insert_events(changed.c).returning(EVENTS.c.id, EVENTS.c.message_id).cte("added")
    deliveries = owed(added.c.id, changed.c.id).join(changed, changed.c.id == added.c.message_id)
    return insert(DELIVERIES).from_select(DELIVERY, _to_endpoints(deliveries, changed.c))


@cache
def _events() -> Any:
    return _insert_events(_changed().subquery().c).returning(EVENTS.c.id)


@cache
def _deliveries() -> Any:
    columns = Message.__table__.c
    deliveries = owed(Event.id, columns.id).join(Message, Message.id == Event.message_id)
    deliveries = deliveries.where(Event.id >= bindparam("first"))
    return insert(DELIVERIES).from_select(DELIVERY, _to_endpoints(deliveries, columns))


def _changed() -> Any:
    columns = (
        Message.id,
        Message.client_id,
        Message.status,
        Message.version,
        Message.webhook_endpoint_id,
    )
    return (
        select(*columns)
        .join(Client, Client.id == Message.client_id)
        .where(any_of_parameter(Message.id, "ids"), Client.events_since.is_not(None))
        .order_by(Message.id)
    )


def _insert_events(message: Any) -> Any:
    values = (
        transaction_number(),
        message.client_id,
        literal(MESSAGE_UPDATED),
        message.id,
        message.status,
        message.version,
        NOW,
    )
    return insert(EVENTS).from_select(_EVENT, select(*values))


def owed(event_id: Any, message_id: Any) -> Select[Any]:
    """Select the columns of a delivery."""
    prefix = bindparam("prefix", type_=Text)
    return select(random_id(prefix), WebhookEndpoint.id, event_id, message_id, NOW, NOW, literal(0))


def subscribed(event_type: str, only: Any) -> list[ColumnElement[bool]]:
    """Return the conditions that an endpoint is told of a type of events.

    `only` is the column of the endpoint that the message names, if it names one.
    """
    return [
        WebhookEndpoint.deleted_at.is_(None),
        WebhookEndpoint.disabled_at.is_(None),
        or_(only.is_(None), only == WebhookEndpoint.id),
        has_text(WebhookEndpoint.types, literal(event_type)),
    ]


def _to_endpoints(deliveries: Select[Any], message: Any) -> Select[Any]:
    """Join the endpoints that are told of a status of a message."""
    return deliveries.join(WebhookEndpoint, WebhookEndpoint.client_id == message.client_id).where(
        *subscribed(MESSAGE_UPDATED, message.webhook_endpoint_id),
        has_text(WebhookEndpoint.statuses, message.status),
    )
