"""Overflow and dead letters: callbacks that are not in the inbox."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import Serial, UtcDateTime

# Without it SQLite reuses the id of a deleted row, and a late DELETE would delete the new row.
_NO_ID_REUSE = {"sqlite_autoincrement": True}


class Overflow(Model):
    """A callback accepted while the inbox could not take it."""

    __tablename__ = "overflow"
    __table_args__ = _NO_ID_REUSE
    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DeadLetter(Model):
    """A callback that could not be recorded, stored with the error."""

    __tablename__ = "dead_letter"
    __table_args__ = _NO_ID_REUSE
    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text)
    set_aside_at: Mapped[datetime] = mapped_column(UtcDateTime)
