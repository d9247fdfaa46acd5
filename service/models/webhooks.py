"""Webhook endpoints of clients, and what is delivered to them."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.database import Model
from service.models.types import Serial, UtcDateTime

_FAILED: Final = "due_at IS NULL AND delivered_at IS NULL"


class WebhookEndpoint(Model):
    """A URL of a client to which events are posted."""

    __tablename__ = "webhook_endpoint"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), index=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(String(255))
    types: Mapped[list[str]] = mapped_column(JSON)
    statuses: Mapped[list[str]] = mapped_column(JSON)
    include_body: Mapped[bool] = mapped_column(default=False)
    # Signing secrets, encrypted, the newest first: [{"secret": ..., "until": ... or null}].
    secrets: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_reason: Mapped[str | None] = mapped_column(String(64))

    # Health: failures since the last success, and when to try again.
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    succeeded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # to the minute

    def next_attempt(self, due_at: datetime | None) -> datetime | None:
        """Return when a delivery that is due then is attempted; None if none is, or disabled."""
        if due_at is None or self.disabled_at is not None:
            return None
        return max(due_at, self.retry_at or due_at)


class WebhookDelivery(Model):
    """An event that is owed to an endpoint, and what became of it."""

    __tablename__ = "webhook_delivery"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    endpoint_id: Mapped[UUID]
    event_id: Mapped[int] = mapped_column(Serial)
    message_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When to call; while a worker calls, when its lease ends; null when it is delivered or failed.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    attempted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answer_status: Mapped[int | None]  # HTTP status of the last answer
    error: Mapped[str | None] = mapped_column(String(200))
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        Index("ix_webhook_delivery_endpoint_id_id", "endpoint_id", "id"),
        Index("ix_webhook_delivery_event_id", "event_id"),
        Index("ix_webhook_delivery_message_id", "message_id"),
        Index(
            "ix_webhook_delivery_due",
            "endpoint_id",
            "due_at",
            "id",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_webhook_delivery_failed",
            "endpoint_id",
            "id",
            sqlite_where=text(_FAILED),
            postgresql_where=text(_FAILED),
        ),
    )
