"""Events: what clients are told, by webhook or by the event feed."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import Serial, UtcDateTime

# Of the events of inbound messages, which are few. Other events have no index on their message.
OF_INBOUND: Final = text("type = 'message.received'")


class Event(Model):
    """A change of a message. Its content is read from the message when somebody is told.

    So it holds nothing of a person, and needs no redaction. It has no foreign keys: checking them
    would cost more than writing the row.
    """

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    # The feed is in the order of (transaction, id): see service/queries/events.py. 0 on SQLite.
    transaction_id: Mapped[int] = mapped_column(BigInteger)
    client_id: Mapped[int]
    type: Mapped[str] = mapped_column(String(32))
    message_id: Mapped[UUID | None]  # of message.received, the inbound message
    # As the change left them; the message may have changed since.
    status: Mapped[str | None] = mapped_column(String(16))
    version: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_event_feed", "client_id", "transaction_id", "id"),
        Index(
            "ix_event_inbound",
            "message_id",
            sqlite_where=OF_INBOUND,
            postgresql_where=OF_INBOUND,
        ),
        {"sqlite_autoincrement": True},  # a deleted id is not used again
    )
