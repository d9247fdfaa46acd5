"""Endpoints and deliveries, written to the database without the API."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from uuid_utils.compat import uuid7

from service.database import db, transaction
from service.models import WebhookDelivery, WebhookEndpoint
from service.queries import events
from service.webhooks import secrets, signature


def add_endpoints(client_id: int, urls: Sequence[str], **fields: Any) -> list[UUID]:
    """Add an endpoint for each URL; return their ids."""
    now = datetime.now(UTC)
    entry = {"secret": secrets.encrypted(signature.new_secret()), "until": None}
    standard = {"types": ["message.updated"], "statuses": ["delivered"], "secrets": [entry]}
    times = {"created_at": now, "updated_at": now}
    with transaction():
        added = [
            WebhookEndpoint(id=uuid7(), client_id=client_id, url=url, **standard, **times, **fields)
            for url in urls
        ]
        db.session.add_all(added)
    return [endpoint.id for endpoint in added]


def owe_tests(client_id: int, endpoint_id: UUID, count: int = 1) -> list[UUID]:
    """Owe test events to an endpoint; return the ids of the deliveries."""
    now = datetime.now(UTC)
    with transaction():
        rows = [
            {
                "id": uuid7(),
                "endpoint_id": endpoint_id,
                "event_id": events.append_test(client_id, now),
                "message_id": None,
                "created_at": now,
                "due_at": now,
                "attempts": 0,
            }
            for _ in range(count)
        ]
        db.session.execute(insert(WebhookDelivery), rows)
    return [row["id"] for row in rows]


def endpoint_row(endpoint_id: UUID) -> WebhookEndpoint:
    """Return an endpoint as it is in the database now."""
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(WebhookEndpoint).filter_by(id=endpoint_id)).one()


def delivery_row(delivery_id: UUID) -> WebhookDelivery:
    """Return a delivery as it is in the database now."""
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(WebhookDelivery).filter_by(id=delivery_id)).one()


def let_pass(seconds: float) -> None:
    """Set every time of endpoints and deliveries back, as if so much time had passed."""
    ago = timedelta(seconds=seconds)
    with transaction():
        for row in db.session.scalars(select(WebhookDelivery)):
            row.due_at = row.due_at and row.due_at - ago
        for endpoint in db.session.scalars(select(WebhookEndpoint)):
            for name in ("retry_at", "failing_since", "succeeded_at"):
                if (time := getattr(endpoint, name)) is not None:
                    setattr(endpoint, name, time - ago)


def change(endpoint_id: UUID, **fields: Any) -> None:
    """Change an endpoint."""
    with transaction():
        query = update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
        db.session.execute(query.values(**fields), execution_options={"synchronize_session": False})
