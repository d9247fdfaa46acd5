"""Queries on webhook deliveries: owed, due, and their results."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, Table, or_, select, union_all, update

from service.database import db
from service.models import WebhookDelivery, WebhookEndpoint
from service.queries.dialect import any_of, insert_all, update_each

_TABLE = cast(Table, WebhookDelivery.__table__)


def add(rows: Sequence[Mapping[str, Any]]) -> None:
    """Add deliveries that all have the same columns."""
    insert_all(_TABLE, rows)


def waiting_endpoints(now: datetime) -> Sequence[WebhookEndpoint]:
    """Return the endpoints that may be called and have due deliveries, the longest due first."""
    head = (
        select(WebhookDelivery.due_at)
        .where(WebhookDelivery.endpoint_id == WebhookEndpoint.id, WebhookDelivery.due_at <= now)
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(WebhookEndpoint)
        .where(
            WebhookEndpoint.deleted_at.is_(None),
            WebhookEndpoint.disabled_at.is_(None),
            or_(WebhookEndpoint.retry_at.is_(None), WebhookEndpoint.retry_at <= now),
            head.is_not(None),
        )
        .order_by(head)
    )
    return db.session.scalars(query).all()


def claim(shares: Mapping[UUID, int], now: datetime, until: datetime) -> Sequence[WebhookDelivery]:
    """Claim due deliveries until a time, at most so many of each endpoint; skip claimed ones."""
    due = [_share(endpoint_id, limit, now) for endpoint_id, limit in shares.items()]
    ids = db.session.scalars(union_all(*due)).all() if due else []
    if not ids:
        return []
    statement = (
        update(WebhookDelivery)
        .where(any_of(WebhookDelivery.id, ids))
        .values(due_at=until, attempted_at=now, attempts=WebhookDelivery.attempts + 1)
        .returning(WebhookDelivery)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return db.session.scalars(statement).all()


def write_results(rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the results of calls; `key` is the id of the delivery."""
    if rows:
        update_each(_TABLE, rows)


def _share(endpoint_id: UUID, limit: int, now: datetime) -> Select[UUID]:
    due = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.due_at <= now)
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).subquery()
    return select(due.c.id)
