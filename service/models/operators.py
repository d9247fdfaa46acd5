"""Operators' keys, and the sessions that they log in to."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.keys import Key
from service.models.types import UtcDateTime


class OperatorKey(Key, Model):
    """A key with which an operator logs in at /ops."""

    __tablename__ = "operator_key"
    name: Mapped[str] = mapped_column(String(100))


class OperatorSession(Model):
    """A login. `digest` is SHA-256 of the session id, which only the cookie holds."""

    __tablename__ = "operator_session"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("operator_key.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)  # to the minute
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
