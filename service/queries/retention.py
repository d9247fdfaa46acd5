"""Queries that find and delete old rows, in the order in which they were created."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, Select, delete, or_, select

from service.database import db
from service.domain.message_ids import first_id
from service.models import (
    Attempt,
    DeadLetter,
    Event,
    Hold,
    Message,
    StatusEvent,
    WebhookDelivery,
    WebhookEndpoint,
)
from service.queries import ledger_partitions
from service.queries.dialect import any_of, is_postgresql


def old_messages(before: datetime, limit: int) -> Sequence[Row[UUID, bool]]:
    """Return the oldest messages that ended before this time, and whether they are redacted.

    Locks them and skips locked ones.

    Walks the ids in the order of creation. Messages that have not ended are passed over: among old
    messages there are few.
    """
    query = (
        select(Message.id, Message.redacted_at.is_not(None).label("redacted"))
        .where(
            Message.id < first_id(before),
            or_(Message.final_at < before, Message.unknown_since < before),
        )
        .order_by(Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return db.session.execute(query).all()


def delete_messages(rows: Sequence[Row[UUID, bool]]) -> None:
    """Delete messages with their ledgers, attempts and webhook deliveries.

    Their events stay: no index finds them, and they hold nothing but ids and statuses. On
    PostgreSQL the ledger of a redacted message stays, too, until its month is dropped.
    """
    if not rows:
        return
    ids = [row.id for row in rows]
    db.session.execute(delete(WebhookDelivery).where(any_of(WebhookDelivery.message_id, ids)))
    _delete_ledgers(rows)
    db.session.execute(delete(Attempt).where(any_of(Attempt.message_id, ids)))
    statement = delete(Message).where(any_of(Message.id, ids))
    db.session.execute(statement.execution_options(synchronize_session=False))


def _delete_ledgers(rows: Sequence[Row[UUID, bool]]) -> None:
    """Delete row by row what no dropped month deletes."""
    has_months = is_postgresql()
    dropped = [row.id for row in rows if has_months and row.redacted]
    deleted = [row.id for row in rows if not (has_months and row.redacted)]
    if deleted:
        db.session.execute(delete(StatusEvent).where(any_of(StatusEvent.message_id, deleted)))
    if dropped:
        start, end = ledger_partitions.months()
        outside = or_(StatusEvent.identity < start, StatusEvent.identity >= end)
        owned = any_of(StatusEvent.message_id, dropped)
        db.session.execute(delete(StatusEvent).where(owned, outside))


def delete_orphans(before: datetime, limit: int) -> int:
    """Delete those of the oldest orphans that arrived before this time; return how many."""
    oldest = (
        select(StatusEvent.id, StatusEvent.received_at)
        .where(StatusEvent.message_id.is_(None))
        .order_by(StatusEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = [row.id for row in db.session.execute(oldest) if row.received_at < before]
    if ids:
        db.session.execute(delete(StatusEvent).where(StatusEvent.id.in_(ids)))
    return len(ids)


def delete_dead_letters(before: datetime, limit: int) -> int:
    """Delete those of the oldest dead letters that were stored before this time."""
    oldest = select(DeadLetter.id, DeadLetter.set_aside_at).order_by(DeadLetter.id).limit(limit)
    rows = db.session.execute(oldest.with_for_update(skip_locked=True))
    ids = [row.id for row in rows if row.set_aside_at < before]
    if ids:
        db.session.execute(delete(DeadLetter).where(DeadLetter.id.in_(ids)))
    return len(ids)


def delete_holds(before: datetime, limit: int) -> int:
    """Delete holds that ended before this time and for which no message waits."""
    ended = select(Hold.id).where(Hold.ended_at < before, Hold.released_at.is_not(None))
    ids = db.session.scalars(ended.order_by(Hold.ended_at).limit(limit)).all()
    if ids:
        db.session.execute(delete(Hold).where(Hold.id.in_(ids)))
    return len(ids)


def delete_events(before: datetime, limit: int) -> int:
    """Delete those of the oldest events that are older than this, with their deliveries."""
    oldest = select(Event.id, Event.created_at).order_by(Event.id).limit(limit)
    rows = db.session.execute(oldest.with_for_update(skip_locked=True))
    ids = [row.id for row in rows if row.created_at < before]
    if ids:
        db.session.execute(delete(WebhookDelivery).where(any_of(WebhookDelivery.event_id, ids)))
        db.session.execute(delete(Event).where(any_of(Event.id, ids)))
    return len(ids)


def delete_deliveries_of_deleted_endpoints(limit: int) -> int:
    """Delete deliveries of endpoints that their clients deleted; return how many."""
    for endpoint_id in db.session.scalars(_deleted_endpoints()).all():
        owed = select(WebhookDelivery.id).where(WebhookDelivery.endpoint_id == endpoint_id)
        # In the order of an index that begins with the endpoint.
        ids = db.session.scalars(owed.order_by(WebhookDelivery.id).limit(limit)).all()
        if ids:
            db.session.execute(delete(WebhookDelivery).where(any_of(WebhookDelivery.id, ids)))
            return len(ids)
    return 0


def delete_endpoints(before: datetime, limit: int) -> int:
    """Delete endpoints that their clients deleted before this time."""
    ids = db.session.scalars(
        _deleted_endpoints().where(WebhookEndpoint.deleted_at < before).limit(limit)
    ).all()
    if ids:
        db.session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id.in_(ids)))
    return len(ids)


def _deleted_endpoints() -> Select[UUID]:
    return select(WebhookEndpoint.id).where(WebhookEndpoint.deleted_at.is_not(None))
