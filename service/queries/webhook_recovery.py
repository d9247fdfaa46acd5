"""Queries that find what an endpoint was not delivered since a time.

No index has the time of an event. Ids rise with it, so a bisection over the primary key finds where
a time begins, and ix_event_feed has the events of the client from there on.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Table, func, select, update

from service.database import db
from service.models import Event, InboundMessage, Message, WebhookDelivery
from service.queries.dialect import any_of, insert_all
from service.queries.events import ORDER, Position, is_behind

# An event is at most this much older than one with a lower id, or of an earlier transaction: the
# longest time that a transaction takes, and the difference between the clocks of two servers.
_DISORDER: Final = timedelta(minutes=5)
_TABLE: Final = cast(Table, WebhookDelivery.__table__)


def position_at(moment: datetime) -> Position | None:
    """Return a position before every event since a time; None if there are no events."""
    low, high = db.session.execute(select(func.min(Event.id), func.max(Event.id))).one()
    if low is None:
        return None
    while low < high:
        middle = (low + high) // 2
        event = _first_from(middle)
        if event.created_at < moment - _DISORDER:
            low = event.id + 1
        else:
            high = middle
    event = _first_from(low)
    # In transaction 0 are all events on SQLite, and those from before a database was restored.
    return (event.transaction_id, 0) if event.transaction_id else (0, event.id - 1)


def events_after(client_id: int, after: Position, limit: int) -> Sequence[Any]:
    """Return the next events of a client behind a position, in the order of the feed."""
    query = (
        select(
            Event.id,
            Event.transaction_id,
            Event.type,
            Event.message_id,
            Event.status,
            Event.created_at,
        )
        .where(Event.client_id == client_id, is_behind(after))
        .order_by(*ORDER)
        .limit(limit)
    )
    return db.session.execute(query).all()


def deliveries(endpoint_id: UUID, event_ids: Collection[int]) -> dict[int, Any]:
    """Return id, due_at and delivered_at of the deliveries of these events, by event."""
    query = select(
        WebhookDelivery.event_id,
        WebhookDelivery.id,
        WebhookDelivery.due_at,
        WebhookDelivery.delivered_at,
    ).where(WebhookDelivery.endpoint_id == endpoint_id, any_of(WebhookDelivery.event_id, event_ids))
    return {row.event_id: row for row in db.session.execute(query)}


def told_to(message_ids: Collection[UUID], endpoint_id: UUID) -> set[UUID]:
    """Return those of these messages whose events go to this endpoint, or to all.

    Those of an inbound message go where those of the message go that it answers.
    """
    is_told = func.coalesce(Message.webhook_endpoint_id, endpoint_id) == endpoint_id
    sent = select(Message.id).where(any_of(Message.id, message_ids), is_told)
    received = (
        select(InboundMessage.id)
        .outerjoin(Message, Message.id == InboundMessage.in_reply_to)
        .where(any_of(InboundMessage.id, message_ids), is_told)
    )
    return {*db.session.scalars(sent), *db.session.scalars(received)}


def make_due(ids: Collection[UUID], now: datetime) -> None:
    """Make deliveries due, with the whole schedule of retries before them."""
    statement = update(WebhookDelivery).where(any_of(WebhookDelivery.id, ids))
    db.session.execute(
        statement.values(due_at=now, attempts=0).execution_options(synchronize_session=False)
    )


def start_over(ids: Collection[UUID]) -> None:
    """Put the whole schedule of retries before deliveries that are due soon.

    If one is under way and fails, its result is of an old call: it is due when its lease ends.
    """
    statement = update(WebhookDelivery).where(any_of(WebhookDelivery.id, ids))
    db.session.execute(statement.values(attempts=0).execution_options(synchronize_session=False))


def add(rows: Sequence[Mapping[str, Any]]) -> None:
    """Add deliveries that all have the same columns, unless they exist."""
    insert_all(_TABLE, rows, _unless_present)


def _unless_present(statement: Any) -> Any:
    return statement.on_conflict_do_nothing(
        index_elements=[WebhookDelivery.endpoint_id, WebhookDelivery.event_id]
    )


def _first_from(event_id: int) -> Any:
    """Return the event with this id, else the next."""
    query = select(Event.id, Event.transaction_id, Event.created_at)
    return db.session.execute(query.where(Event.id >= event_id).order_by(Event.id).limit(1)).one()
