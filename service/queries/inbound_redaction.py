"""Queries for redaction and retention of inbound messages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, delete, select

from service.database import db
from service.domain.message_ids import first_id
from service.models import InboundMessage, WebhookDelivery
from service.queries.dialect import any_of, update_each


def messages_to_redact(before: datetime, limit: int) -> Sequence[InboundMessage]:
    """Return unredacted messages that arrived by this time; lock them, skip locked ones.

    Not those that an endpoint is still owed: their text is read when they are delivered.
    """
    # A subquery for one row, by index: EXISTS might read the whole table of deliveries.
    owed = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.message_id == InboundMessage.id, WebhookDelivery.due_at.is_not(None))
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(InboundMessage)
        # The first condition repeats that of the partial index.
        .where(InboundMessage.redacted_at.is_(None), InboundMessage.received_at <= before)
        .where(owed.is_(None))
        .order_by(InboundMessage.received_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=InboundMessage)
    )
    return db.session.scalars(query).all()


def update_messages(rows: Sequence[Mapping[str, Any]]) -> None:
    """Update columns of messages that this transaction has locked; `key` is the id."""
    if rows:
        update_each(cast(Table, InboundMessage.__table__), rows)


def delete_old(before: datetime, limit: int) -> int:
    """Delete the oldest messages that arrived before this time, with their webhook deliveries.

    Walks the ids, whose time is not before the arrival. With a second condition, on the arrival,
    PostgreSQL expects few rows, reads all old ones and sorts them for each batch.
    """
    oldest = (
        select(InboundMessage.id)
        .where(InboundMessage.id < first_id(before))
        .order_by(InboundMessage.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = db.session.scalars(oldest).all()
    if ids:
        db.session.execute(delete(WebhookDelivery).where(any_of(WebhookDelivery.message_id, ids)))
        db.session.execute(delete(InboundMessage).where(any_of(InboundMessage.id, ids)))
    return len(ids)
