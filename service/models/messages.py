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
    true,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.database import Model
from service.domain.account import DEFAULT_ACCOUNT
from service.domain.priority import Priority
from service.domain.status import Status
from service.models.types import Serial, UtcDateTime, enum_column

# Messages that have ended and still hold their content.
_UNREDACTED: Final = "final_at IS NOT NULL AND redacted_at IS NULL"
_UNREDACTED_UNKNOWN: Final = "unknown_since IS NOT NULL AND redacted_at IS NULL"
_ENDED: Final = "(final_at IS NOT NULL OR unknown_since IS NOT NULL)"
_DOUBT: Final = "doubt_since IS NOT NULL"
# The order of lists. The primary key has another order of nulls: otherwise PostgreSQL would walk it
# over hundreds of thousands of rows where it expects many matches (queries/bounded_pages.py).
_NEWEST: Final = text("id DESC NULLS LAST")
_CLIENT: Final = ("client_id", _NEWEST)
_REFERENCE: Final = ("client_id", "reference", _NEWEST)
_BY_CLIENT: Final = ("client_id", "priority", "due_at", "id")

_NO_SID: Final = "provider_sid IS NULL"
_UNSENT: Final = "expires_at IS NOT NULL AND due_at IS NOT NULL"  # pending, with a deadline


class Message(Model):
    """A message that a client asked us to send, with its outcome."""

    __tablename__ = "message"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)  # ordered by creation
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    idempotency_key: Mapped[str | None] = mapped_column(String(300))
    # HMAC (service/sending/idempotency.py); null without a key, and after the number was erased.
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
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # after this never sent
    reference: Mapped[str | None] = mapped_column(String(255))
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    resend_if_unknown: Mapped[bool]
    # `body` has its replacements already; this asks the provider to replace characters, too.
    smart_encoding: Mapped[bool] = mapped_column(default=False, server_default=false())
    encoding: Mapped[str | None] = mapped_column(String(8))
    estimated_segments: Mapped[int | None]  # when accepted; `segments` is the provider's
    provider: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(
        String(32), default=DEFAULT_ACCOUNT, server_default=DEFAULT_ACCOUNT
    )
    # The request named them: another provider does not take the message over.
    provider_fixed: Mapped[bool] = mapped_column(default=False, server_default=true())
    sender_fixed: Mapped[bool] = mapped_column(default=False, server_default=true())

    status: Mapped[Status] = mapped_column(enum_column(Status, "status"))
    # With a server default, because an old version without priorities runs during the migration.
    priority: Mapped[int] = mapped_column(
        SmallInteger, default=int(Priority.NORMAL), server_default=text("1")
    )
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # while pending
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Attempts that may have had an effect, and resends: each has a bit in the outcome.
    attempts: Mapped[int] = mapped_column(default=0)
    # Attempts without an effect, and since when the present provider has accepted none.
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    tried_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The hold for which a pending message waits. It is due again when the hold ends.
    hold_id: Mapped[int | None] = mapped_column(Serial)
    resent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    submitted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when to poll or look up
    lookups: Mapped[int] = mapped_column(default=0)  # number of look-ups while in doubt
    unknown_since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when polling stopped

    # The outcome: only service/recording writes it.
    outcome_attempt: Mapped[int | None]
    provider_sid: Mapped[str | None] = mapped_column(String(64))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    failed_in: Mapped[int] = mapped_column(BigInteger, default=0)
    delivered_in: Mapped[int] = mapped_column(BigInteger, default=0)
    segments: Mapped[int | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    price_currency: Mapped[str | None] = mapped_column(String(8))

    # Rises with each UPDATE of the row: of two copies the higher is newer.
    version: Mapped[int] = mapped_column(
        default=1, server_default=text("1"), onupdate=text("message.version + 1")
    )
    # Events go to this endpoint only; null: to all of the client.
    webhook_endpoint_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    final_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    redacted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # text and media cleared
    forget_as: Mapped[str | None] = mapped_column(String(64))  # replaces `to` at the end

    # Computed by the database. They change seldom, and so can be in an index; `status` must not.
    doubt_since: Mapped[datetime | None] = mapped_column(
        UtcDateTime,
        Computed("CASE WHEN status = 'in_doubt' THEN updated_at END"),
        deferred=True,
    )
    # Statuses that a provider can still change are listed together, as 'open'.
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
        # No index has the status: it changes with every callback, and without an index on it
        # PostgreSQL can update the row in the same page and no index (heap-only tuples).
        *(
            Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))
            for name, columns, where in (
                ("ix_message_client_id_reference_id", _REFERENCE, "reference IS NOT NULL"),
                # One descent for each client with due messages (service/queries/due.py).
                ("ix_message_turn", _BY_CLIENT, "due_at IS NOT NULL"),
                # Counts of due messages, over all clients.
                ("ix_message_due", ("due_at",), "due_at IS NOT NULL"),
                ("ix_message_expires", ("expires_at",), _UNSENT),
                ("ix_message_hold", ("hold_id", "tries", "id"), "hold_id IS NOT NULL"),
                ("ix_message_claimed", ("claimed_until",), "claimed_until IS NOT NULL"),
                ("ix_message_check", ("check_at",), "check_at IS NOT NULL"),
                # Look-ups that are due. A subset of ix_message_check: a look-up must not wait
                # for a walk over a million overdue polls.
                ("ix_message_look_up", ("check_at",), f"check_at IS NOT NULL AND {_NO_SID}"),
                # Messages that a look-up could confuse, and texts of other messages, to one
                # recipient. Without it, a look-up reads the whole table.
                ("ix_message_without_sid", ("to", "id"), _NO_SID),
                ("ix_message_unknown", ("unknown_since",), "unknown_since IS NOT NULL"),
                ("ix_message_unredacted", ("final_at",), _UNREDACTED),
                # A subset of ix_message_unknown: redaction must not walk over redacted messages.
                ("ix_message_unheard", ("unknown_since",), _UNREDACTED_UNKNOWN),
                ("ix_message_forget", ("id",), f"forget_as IS NOT NULL AND {_ENDED}"),
                ("ix_message_doubt", ("doubt_since",), _DOUBT),
                ("ix_message_doubt_person", ("doubt_since",), f"{_DOUBT} AND check_at IS NULL"),
            )
        ),
        {"postgresql_with": {"fillfactor": 80}},
    )


class Attempt(Model):
    """One call to the provider for a message; its id travels in the callback URL."""

    __tablename__ = "attempt"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id"))
    # Negative if the attempt certainly had no effect: the provider did not accept the message.
    number: Mapped[int]
    provider: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(
        String(32), default=DEFAULT_ACCOUNT, server_default=DEFAULT_ACCOUNT
    )
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
