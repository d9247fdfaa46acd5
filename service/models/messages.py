"""Messages and the attempts to send them."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Computed,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.database import Model
from service.domain.priority import Priority
from service.domain.status import Status
from service.models.types import UtcDateTime, words

# The message has ended and still holds what was written.
_UNREDACTED: Final = "final_at IS NOT NULL AND redacted_at IS NULL"
_UNHEARD: Final = "unknown_since IS NOT NULL AND redacted_at IS NULL"
_ENDED: Final = "(final_at IS NOT NULL OR unknown_since IS NOT NULL)"
_DOUBT: Final = "doubt_since IS NOT NULL"
# Lists are sorted like this. The primary key is not, or PostgreSQL would walk it wherever it takes
# matches to be spread evenly, past hundreds of thousands of rows to none (store/message_pages.py).
_NEWEST: Final = text("id DESC NULLS LAST")
_CLIENT: Final = ("client_id", _NEWEST)
_REFERENCE: Final = ("client_id", "reference", _NEWEST)
_TURN: Final = ("client_id", "priority", "due_at", "id")

_NO_SID: Final = "provider_sid IS NULL"
_UNSENT: Final = "expires_at IS NOT NULL AND due_at IS NOT NULL"  # waits, and has a deadline


class Message(Model):
    """What a client asked us to send, and what became of it."""

    __tablename__ = "message"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)  # ordered by creation
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    idempotency_key: Mapped[str | None] = mapped_column(String(300))
    # Keyed (service/sending/idempotency.py); null without a key, and once the number is forgotten.
    request_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))

    to: Mapped[str] = mapped_column(String(255))
    sender: Mapped[str | None] = mapped_column(String(255))
    messaging_service_sid: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[str | None] = mapped_column(Text)
    media_urls: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    content_sid: Mapped[str | None] = mapped_column(String(64))
    content_variables: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    send_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    validity_period: Mapped[int | None]
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # from then on never sent
    reference: Mapped[str | None] = mapped_column(String(255))
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    resend_if_unknown: Mapped[bool]
    # What was replaced in the text is replaced; this asks the provider for the same.
    smart_encoding: Mapped[bool] = mapped_column(default=False, server_default=false())
    encoding: Mapped[str | None] = mapped_column(String(8))
    estimated_segments: Mapped[int | None]  # when accepted; `segments` is the provider's count
    provider: Mapped[str] = mapped_column(String(32))

    status: Mapped[Status] = mapped_column(words(Status, "status"))
    # The database's default, too: a version that knows no priority runs while this is migrated.
    priority: Mapped[int] = mapped_column(
        SmallInteger, default=int(Priority.NORMAL), server_default=text("1")
    )
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # while pending
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    submitted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when to ask the provider
    lookups: Mapped[int] = mapped_column(default=0)  # while in doubt
    unknown_since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # we stopped asking

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
    redacted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # text and media are gone
    forget_as: Mapped[str | None] = mapped_column(String(64))  # what `to` becomes when it ends

    # Written by the database: copies of what changes once, because `status` may be in no index.
    doubt_since: Mapped[datetime | None] = mapped_column(
        UtcDateTime,
        Computed("CASE WHEN status = 'in_doubt' THEN updated_at END"),
        deferred=True,
    )
    # Its own status or its final one; all that a provider may still change are one.
    listed_as: Mapped[str | None] = mapped_column(
        String(16),
        Computed(
            "CASE WHEN final_at IS NOT NULL OR status IN ('pending', 'submitting', 'in_doubt')"
            " THEN status ELSE 'open' END"
        ),
        deferred=True,
    )

    __table_args__ = (
        UniqueConstraint("client_id", "idempotency_key"),
        Index("ix_message_client_id_id", *_CLIENT),
        Index("ix_message_client_id_to_id", "client_id", "to", _NEWEST),
        Index("ix_message_client_id_listed_as_id", "client_id", "listed_as", _NEWEST),
        Index("ix_message_provider_sid", "provider_sid"),
        # None of them names the status: what changes with every callback is in no index, so that
        # PostgreSQL can write the new row beside the old one and leave the indexes alone (HOT).
        *(
            Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))
            for name, columns, where in (
                ("ix_message_client_id_reference_id", _REFERENCE, "reference IS NOT NULL"),
                # Whose turn it is: a descent for each client that waits (service/queries/due.py).
                ("ix_message_turn", _TURN, "due_at IS NOT NULL"),
                ("ix_message_due", ("due_at",), "due_at IS NOT NULL"),
                ("ix_message_expires", ("expires_at",), _UNSENT),
                ("ix_message_claimed", ("claimed_until",), "claimed_until IS NOT NULL"),
                ("ix_message_check", ("check_at",), "check_at IS NOT NULL"),
                ("ix_message_look_up", ("check_at",), f"check_at IS NOT NULL AND {_NO_SID}"),
                ("ix_message_without_sid", ("to", "id"), _NO_SID),
                ("ix_message_unknown", ("unknown_since",), "unknown_since IS NOT NULL"),
                ("ix_message_unredacted", ("final_at",), _UNREDACTED),
                ("ix_message_unheard", ("unknown_since",), _UNHEARD),
                ("ix_message_forget", ("id",), f"forget_as IS NOT NULL AND {_ENDED}"),
                ("ix_message_doubt", ("doubt_since",), _DOUBT),
                ("ix_message_doubt_person", ("doubt_since",), f"{_DOUBT} AND check_at IS NULL"),
                # Messages to a recipient without an answer (service/queries/reconciliation.py).
                ("ix_message_unanswered", ("to",), f"claimed_until IS NOT NULL OR {_DOUBT}"),
            )
        ),
        {"postgresql_with": {"fillfactor": 80}},
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
