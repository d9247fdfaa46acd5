"""Queries on the encrypted signing secrets of webhook endpoints."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from service.database import db
from service.models import WebhookEndpoint

Secrets = Sequence[dict[str, Any]]


def lock_batch(after: UUID | None, limit: int) -> Sequence[tuple[UUID, Secrets]]:
    """Return endpoints that are not deleted and their secrets, by id; lock their rows."""
    query = select(WebhookEndpoint.id, WebhookEndpoint.secrets).where(
        WebhookEndpoint.deleted_at.is_(None)
    )
    if after is not None:
        query = query.where(WebhookEndpoint.id > after)
    query = query.order_by(WebhookEndpoint.id).limit(limit).with_for_update()
    return [(row.id, row.secrets) for row in db.session.execute(query)]


def write(endpoint_id: UUID, secrets: Secrets) -> None:
    """Replace the secrets of an endpoint."""
    db.session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id)
        .values(secrets=list(secrets))
        .execution_options(synchronize_session=False)
    )


def any_endpoint() -> bool:
    """Tell whether there is an endpoint that is not deleted."""
    query = select(WebhookEndpoint.id).where(WebhookEndpoint.deleted_at.is_(None)).limit(1)
    return db.session.scalar(query) is not None
