"""Who may send."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import UtcDateTime


class Client(Model):
    """An internal service that may send, or its twin for tests, which shares nothing but the name.

    Keys, idempotency keys and messages belong to a client: what one of the two does, the other
    never sees.
    """

    __tablename__ = "client"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    # The database's default, too: a version that knows no tests runs while this is migrated.
    test: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("name", "test"),)


class ApiKey(Model):
    """One key of a client. `digest` is SHA-256 of the key, which itself is stored nowhere."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), index=True)
    hint: Mapped[str] = mapped_column(String(16))  # the first characters, to tell keys apart
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
