"""Callbacks outside the inbox: those it could not take, and those that could not be recorded."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import Serial, UtcDateTime

# Else SQLite gives the number of a deleted row to the next one, and who deletes late deletes that.
_NUMBERED_ONCE = {"sqlite_autoincrement": True}


class Overflow(Model):
    """A callback accepted while the inbox could not take it."""

    __tablename__ = "overflow"
    __table_args__ = _NUMBERED_ONCE
    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DeadLetter(Model):
    """A callback that could not be recorded, kept with the reason."""

    __tablename__ = "dead_letter"
    __table_args__ = _NUMBERED_ONCE
    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text)
    set_aside_at: Mapped[datetime] = mapped_column(UtcDateTime)
