"""Queries on what webhook endpoints are owed. Each count reads a bounded range of an index."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal, select, union_all

from service.database import db
from service.domain.message_ids import creation_time
from service.models import WebhookDelivery
from service.queries.backlog import Backlog


class Owed(NamedTuple):
    """Deliveries that an endpoint is owed, when the first of them is due, and those that failed."""

    owed: Backlog
    due_at: datetime | None
    failed: Backlog


def owed(endpoint_ids: Collection[UUID], limit: int) -> dict[UUID, Owed]:
    """Return what endpoints are owed, and what failed; each count stops at `limit`."""
    if not endpoint_ids:
        return {}
    is_due, is_delivered = (
        WebhookDelivery.due_at.is_not(None),
        WebhookDelivery.delivered_at.is_not(None),
    )
    due = _counts(endpoint_ids, is_due, WebhookDelivery.due_at, limit)
    failed = _counts(endpoint_ids, and_(~is_due, ~is_delivered), WebhookDelivery.id, limit)
    return {
        endpoint_id: Owed(_backlog(due[endpoint_id]), due[endpoint_id].due_at, _backlog(row))
        for endpoint_id, row in failed.items()
    }


def _counts(
    endpoint_ids: Collection[UUID], condition: ColumnElement[bool], order: Any, limit: int
) -> dict[UUID, Any]:
    """Return the number of deliveries of each endpoint, the oldest id, and when one is due."""
    counts = []
    for endpoint_id in endpoint_ids:
        rows = (
            select(WebhookDelivery.id, WebhookDelivery.due_at)  # the index has both
            # With `=` PostgreSQL may read all deliveries by their ids for the few that failed: it
            # takes the two conditions on them for independent. No other index has this order.
            .where(WebhookDelivery.endpoint_id.between(endpoint_id, endpoint_id), condition)
            .order_by(WebhookDelivery.endpoint_id, order)
            .limit(limit)
            .subquery()
        )
        counts.append(
            select(
                literal(endpoint_id).label("endpoint_id"),
                func.count().label("number"),
                # PostgreSQL before 18 has no min(uuid).
                func.min(cast(rows.c.id, Text)).label("oldest"),
                func.min(rows.c.due_at).label("due_at"),
            ).select_from(rows)
        )
    return {row.endpoint_id: row for row in db.session.execute(union_all(*counts))}


def _backlog(row: Any) -> Backlog:
    return Backlog(row.number, creation_time(UUID(row.oldest)) if row.number else None)
