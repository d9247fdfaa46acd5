"""Operators: their keys, and the sessions that the keys opened."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import UtcDateTime


class OperatorKey(Model):
    """One key of an operator. `digest` is SHA-256 of the key, which itself is stored nowhere."""

    __tablename__ = "operator_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    hint: Mapped[str] = mapped_column(String(16))  # the first characters, to tell keys apart
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class OperatorSession(Model):
    """One log-in. `digest` is SHA-256 of the session's id, which only the cookie holds."""

    __tablename__ = "operator_session"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("operator_key.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)  # to the minute
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
