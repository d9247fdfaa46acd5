"""The ledger: every distinct status report about a message."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, LargeBinary, Numeric, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.domain.report import Source
from service.domain.status import Status
from service.models.types import Serial, UtcDateTime, enum_column


class StatusEvent(Model):
    """A status report, stored once. Without `message_id` it is an orphan: its SID is not known.

    On PostgreSQL the table has a partition for each month of the time in `identity`; only
    `identity` is unique in all of them (docs/adr/0055).
    """

    __tablename__ = "status_event"
    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    identity: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    # No foreign keys: of a deleted message the redacted events stay until their month is dropped,
    # and to drop a table with a foreign key locks the other table, too.
    message_id: Mapped[UUID | None]
    attempt_id: Mapped[UUID | None]
    # Of our own reports after a resend, which are about no attempt.
    attempt_number: Mapped[int | None]
    provider: Mapped[str] = mapped_column(String(32))
    provider_sid: Mapped[str | None] = mapped_column(String(64))
    source: Mapped[Source] = mapped_column(enum_column(Source, "source"))
    word: Mapped[str] = mapped_column(String(64))
    status: Mapped[Status | None] = mapped_column(enum_column(Status, "status"))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    provider_time: Mapped[str | None] = mapped_column(String(64))
    segments: Mapped[int | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    price_currency: Mapped[str | None] = mapped_column(String(8))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)  # of the first report
    # `recorded_at` minus `received_at` is the time that a callback waited for a worker.
    recorded_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, default=lambda: datetime.now(UTC)
    )
    repeats: Mapped[int] = mapped_column(default=0)  # number of repeated reports
    raw: Mapped[dict[str, Any]] = mapped_column(JSON)

    __mapper_args__ = {"primary_key": [identity]}  # noqa: RUF012 - SQLAlchemy prescribes a dict
    __table_args__ = (
        Index("ix_status_event_message_id", "message_id", "id"),
        Index("ix_status_event_received_at", "received_at"),
        Index(
            "ix_status_event_orphan",
            "provider_sid",
            sqlite_where=text("message_id IS NULL"),
            postgresql_where=text("message_id IS NULL"),
        ),
        Index(
            "ix_status_event_orphan_id",
            "id",
            sqlite_where=text("message_id IS NULL"),
            postgresql_where=text("message_id IS NULL"),
        ),
    )
