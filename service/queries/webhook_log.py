"""Lists of webhook deliveries: of an endpoint in pages, and of a message."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Select, select

from service.database import db
from service.models import WebhookDelivery, WebhookEndpoint
from service.queries.dialect import any_of
from service.queries.webhook_deliveries import first_due

# Rows that are compared for each delivery that fits on a page.
_SEARCH_FACTOR: Final = 10
# Pending deliveries that are read and sorted; with more, recent rows have enough of them.
_FEW: Final = 1_000
_FAILED: Final = (WebhookDelivery.due_at.is_(None), WebhookDelivery.delivered_at.is_(None))
# A message has about five events, for each of 16 endpoints at most.
_MAX_OF_MESSAGE: Final = 1_000


class DeliveryStatus(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Conditions on deliveries; None means no condition."""

    status: DeliveryStatus | None = None
    message_id: UUID | None = None


class DeliveryPage(NamedTuple):
    """Deliveries, and the id before which the next page starts; None on the last page.

    A page can be short or empty without being the last.
    """

    deliveries: Sequence[WebhookDelivery]
    next: UUID | None


def status_of(delivery: WebhookDelivery) -> DeliveryStatus:
    """Return what became of a delivery."""
    if delivery.due_at is not None:
        return DeliveryStatus.PENDING
    return DeliveryStatus.FAILED if delivery.delivered_at is None else DeliveryStatus.DELIVERED


def page(
    endpoint_id: UUID, filters: DeliveryFilter, before: UUID | None, limit: int
) -> DeliveryPage:
    """Return deliveries to an endpoint, newest first, optionally only those before an id."""
    if filters.message_id is not None:
        return _cut(_of_message(endpoint_id, filters, before), limit)
    if filters.status is DeliveryStatus.PENDING and (few := _few_pending(endpoint_id)) is not None:
        return _cut([each for each in few if before is None or each.id < before], limit)
    # With `=` PostgreSQL may read all deliveries by their ids for the few that failed.
    query = select(WebhookDelivery).where(
        WebhookDelivery.endpoint_id.between(endpoint_id, endpoint_id)
    )
    if before is not None:
        query = query.where(WebhookDelivery.id < before)
    query = query.order_by(WebhookDelivery.endpoint_id.desc(), WebhookDelivery.id.desc())
    if filters.status is DeliveryStatus.FAILED:
        query = query.where(*_FAILED)  # ix_webhook_delivery_failed
    if filters.status in (None, DeliveryStatus.FAILED):
        return _cut(db.session.scalars(query.limit(limit + 1)).all(), limit)
    return _search(query, filters.status, limit)


def of_message(message_id: UUID) -> Sequence[tuple[WebhookDelivery, WebhookEndpoint]]:
    """Return the deliveries of a message with their endpoints, also deleted ones, oldest first."""
    query = (
        select(WebhookDelivery, WebhookEndpoint)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.message_id == message_id)
        .order_by(WebhookDelivery.id)
        .limit(_MAX_OF_MESSAGE)
    )
    return [(delivery, endpoint) for delivery, endpoint in db.session.execute(query)]


def delivery(endpoint_id: UUID, delivery_id: UUID) -> WebhookDelivery | None:
    """Return a delivery to an endpoint."""
    return db.session.scalar(
        select(WebhookDelivery)
        .where(WebhookDelivery.id == delivery_id, WebhookDelivery.endpoint_id == endpoint_id)
        .execution_options(populate_existing=True)
    )


def next_due(endpoint_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Return when the next delivery to each endpoint is due, if there is one."""
    rows = db.session.execute(
        select(WebhookEndpoint.id, first_due()).where(any_of(WebhookEndpoint.id, endpoint_ids))
    )
    return {endpoint_id: due_at for endpoint_id, due_at in rows if due_at is not None}


def _of_message(
    endpoint_id: UUID, filters: DeliveryFilter, before: UUID | None
) -> list[WebhookDelivery]:
    return [
        delivery
        for delivery, endpoint in reversed(of_message(cast(UUID, filters.message_id)))
        if endpoint.id == endpoint_id
        and filters.status in (None, status_of(delivery))
        and (before is None or delivery.id < before)
    ]


def _few_pending(endpoint_id: UUID) -> list[WebhookDelivery] | None:
    """Return all pending deliveries, newest first, unless there are many: no index has both."""
    query = (
        select(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.due_at.is_not(None))
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(_FEW + 1)
    )
    deliveries = db.session.scalars(query).all()
    if len(deliveries) > _FEW:
        return None
    return sorted(deliveries, key=lambda each: each.id.int, reverse=True)


def _search(
    query: Select[WebhookDelivery], status: DeliveryStatus | None, limit: int
) -> DeliveryPage:
    """Return the deliveries with a status among a bounded number of rows."""
    rows = db.session.scalars(query.limit(_SEARCH_FACTOR * limit)).all()
    more = len(rows) == _SEARCH_FACTOR * limit
    matching = [row for row in rows if status_of(row) is status]
    return _cut(matching, limit, rows[-1].id if more else None)


def _cut(
    deliveries: Sequence[WebhookDelivery], limit: int, end: UUID | None = None
) -> DeliveryPage:
    if len(deliveries) > limit:
        return DeliveryPage(deliveries[:limit], deliveries[limit - 1].id)
    return DeliveryPage(deliveries, end)
