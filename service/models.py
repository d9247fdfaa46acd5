"""The tables. A message is a fold of its ledger (`StatusEvent`) and can be rebuilt from it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.domain.report import Source
from service.domain.status import Status
from service.extensions import Model


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on both databases (SQLite would drop the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def _words(of: type[Status] | type[Source], name: str) -> Enum:
    return Enum(
        of,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda words: [word.value for word in words],
    )


# SQLite counts only INTEGER PRIMARY KEY columns up by itself.
_Serial: Final = BigInteger().with_variant(Integer, "sqlite")


class Client(Model):
    """An internal service that may send."""

    __tablename__ = "client"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKey(Model):
    """One key of a client. `digest` is SHA-256 of the key, which itself is stored nowhere."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), index=True)
    hint: Mapped[str] = mapped_column(String(16))  # the first characters, to tell keys apart
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Message(Model):
    """What a client asked us to send, and what became of it."""

    __tablename__ = "message"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)  # ordered by creation
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    idempotency_key: Mapped[str | None] = mapped_column(String(300))
    request_digest: Mapped[bytes] = mapped_column(LargeBinary(32))

    to: Mapped[str] = mapped_column(String(255))
    sender: Mapped[str | None] = mapped_column(String(255))
    messaging_service_sid: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[str | None] = mapped_column(Text)
    media_urls: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    content_sid: Mapped[str | None] = mapped_column(String(64))
    content_variables: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    send_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    validity_period: Mapped[int | None]
    reference: Mapped[str | None] = mapped_column(String(255))
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    resend_if_unknown: Mapped[bool]
    provider: Mapped[str] = mapped_column(String(32))

    status: Mapped[Status] = mapped_column(_words(Status, "status"))
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)  # no attempt before this
    enqueued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    submitted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # The outcome: written by flows/recording only.
    outcome_attempt: Mapped[int | None]
    provider_sid: Mapped[str | None] = mapped_column(String(64))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    failed_in: Mapped[int] = mapped_column(BigInteger, default=0)
    delivered_in: Mapped[int] = mapped_column(BigInteger, default=0)
    segments: Mapped[int | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    price_currency: Mapped[str | None] = mapped_column(String(8))

    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    final_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("client_id", "idempotency_key"),
        Index("ix_message_client_id_id", "client_id", "id"),
        Index("ix_message_client_id_reference", "client_id", "reference"),
        Index("ix_message_client_id_to", "client_id", "to"),
        Index("ix_message_provider_sid", "provider_sid"),
        *(
            Index(name, column, sqlite_where=text(where), postgresql_where=text(where))
            for name, column, where in (
                ("ix_message_due", "next_attempt_at", "status = 'pending'"),
                ("ix_message_claimed", "claimed_until", "status = 'submitting'"),
            )
        ),
    )


class Attempt(Model):
    """One call to the provider for a message; its id travels in the callback URL."""

    __tablename__ = "attempt"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id"))
    number: Mapped[int]
    provider: Mapped[str] = mapped_column(String(32))
    provider_sid: Mapped[str | None] = mapped_column(String(64))
    answer: Mapped[str | None] = mapped_column(String(16))
    answer_code: Mapped[str | None] = mapped_column(String(64))
    answer_text: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("message_id", "number"),
        Index("ix_attempt_provider_sid", "provider_sid"),
    )


class StatusEvent(Model):
    """A report written down, once. Without `message_id` it is an orphan: not ours, or not yet."""

    __tablename__ = "status_event"
    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    identity: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("message.id"))
    attempt_id: Mapped[UUID | None] = mapped_column(ForeignKey("attempt.id"))
    provider: Mapped[str] = mapped_column(String(32))
    provider_sid: Mapped[str | None] = mapped_column(String(64))
    source: Mapped[Source] = mapped_column(_words(Source, "source"))
    word: Mapped[str] = mapped_column(String(64))
    status: Mapped[Status | None] = mapped_column(_words(Status, "status"))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    provider_time: Mapped[str | None] = mapped_column(String(64))
    segments: Mapped[int | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    price_currency: Mapped[str | None] = mapped_column(String(8))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)  # of the first time it was said
    repeats: Mapped[int] = mapped_column(default=0)  # how often it was said again
    raw: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (
        Index("ix_status_event_message_id", "message_id", "id"),
        Index(
            "ix_status_event_orphan",
            "provider_sid",
            sqlite_where=text("message_id IS NULL"),
            postgresql_where=text("message_id IS NULL"),
        ),
    )


class Overflow(Model):
    """A callback accepted while the inbox could not take it."""

    __tablename__ = "overflow"
    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DeadLetter(Model):
    """A callback that could not be recorded, kept with the reason."""

    __tablename__ = "dead_letter"
    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text)
    set_aside_at: Mapped[datetime] = mapped_column(UtcDateTime)
