"""Queries on webhook endpoints."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select

from service.database import db
from service.models import WebhookEndpoint
from service.queries.dialect import any_of


def locked(ids: Collection[UUID]) -> Sequence[WebhookEndpoint]:
    """Return endpoints, locked in the order of their ids."""
    query = select(WebhookEndpoint).where(any_of(WebhookEndpoint.id, ids))
    return db.session.scalars(query.order_by(WebhookEndpoint.id).with_for_update()).all()


def of_client(client_id: int, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpoint | None:
    """Return an endpoint of a client, unless it is deleted; optionally lock it."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id,
        WebhookEndpoint.client_id == client_id,
        WebhookEndpoint.deleted_at.is_(None),
    )
    return db.session.scalar(query.with_for_update() if lock else query)


def exists(client_id: int, endpoint_id: UUID) -> bool:
    """Return whether a client has this endpoint."""
    return of_client(client_id, endpoint_id) is not None


def all_of_client(client_id: int) -> Sequence[WebhookEndpoint]:
    """Return the endpoints of a client, the oldest first."""
    return db.session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.client_id == client_id, WebhookEndpoint.deleted_at.is_(None))
        .order_by(WebhookEndpoint.id)
    ).all()
