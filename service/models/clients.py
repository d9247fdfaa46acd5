"""Clients (internal services that send) and their API keys."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.keys import Key
from service.models.types import UtcDateTime


class Client(Model):
    """An internal service that sends, or its counterpart for tests.

    Keys, idempotency keys and messages belong to one client. A client and its counterpart for tests
    share the name only: neither sees the messages of the other.
    """

    __tablename__ = "client"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    # Also a default in the database: during an upgrade the old version inserts without this column.
    test: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The account of messages that name none, where their provider has one of this name.
    account: Mapped[str | None] = mapped_column(String(32))
    # Changes of its messages are events since then; null until it asks for them.
    events_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Its earlier messages have an event, too.
    events_complete: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("name", "test"),)


class ApiKey(Key, Model):
    """An API key of a client."""

    __tablename__ = "api_key"
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), index=True)
