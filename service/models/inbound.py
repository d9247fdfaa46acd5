"""Inbound messages: what recipients write to our senders."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from service.database import Model
from service.models.types import UtcDateTime

_UNOWNED: Final = "client_id IS NULL"
_UNREDACTED: Final = "redacted_at IS NULL"
_KEYWORD: Final = "keyword IS NOT NULL"
_REPLY: Final = "in_reply_to IS NOT NULL"
# The order of lists, as of messages (models/messages.py).
_NEWEST: Final = text("id DESC NULLS LAST")
# In another order than the lists of clients: PostgreSQL would read it for them, and sort.
_LAST_ADDRESS: Final = text("from_address DESC NULLS LAST")


class InboundMessage(Model):
    """A message from a person to one of our senders, once for each SID."""

    __tablename__ = "inbound_message"
    # Ordered by arrival: its time is `received_at`, also where it is recorded later.
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    provider: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(32))
    provider_sid: Mapped[str] = mapped_column(String(64))
    from_address: Mapped[str] = mapped_column(String(255))
    to_address: Mapped[str] = mapped_column(String(255))
    messaging_service_sid: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[str | None] = mapped_column(Text)
    media: Mapped[list[dict[str, str | None]]] = mapped_column(JSON)
    keyword: Mapped[str | None] = mapped_column(String(8))  # stop, start or help
    raw: Mapped[dict[str, Any]] = mapped_column(JSON)
    # The client that is told of it; null: none was found.
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"))
    in_reply_to: Mapped[UUID | None]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    provider_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    redacted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # text and media cleared

    __table_args__ = (
        UniqueConstraint("provider", "provider_sid"),
        # One for each filter of GET /v1/inbound.
        Index("ix_inbound_message_client_id_id", "client_id", _NEWEST),
        Index("ix_inbound_message_client_id_from_id", "client_id", "from_address", _NEWEST),
        Index("ix_inbound_message_client_id_to_id", "client_id", "to_address", _NEWEST),
        # Over all clients, for operators.
        Index("ix_inbound_message_from_address_id", _LAST_ADDRESS, _NEWEST),
        *(
            Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))
            for name, columns, where in (
                ("ix_inbound_message_keyword", ("client_id", "keyword", _NEWEST), _KEYWORD),
                ("ix_inbound_message_reply", ("client_id", "in_reply_to", _NEWEST), _REPLY),
                ("ix_inbound_message_unowned", ("id",), _UNOWNED),
                ("ix_inbound_message_unredacted", ("received_at",), _UNREDACTED),
            )
        ),
    )
