"""Columns that client keys and operator keys share."""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from service.models.types import UtcDateTime


class Key:
    """A secret that authenticates its owner. Only its SHA-256 digest is stored.

    Client keys and operator keys stay in two tables: operators revoke keys by number, and one table
    would give keys new numbers.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    hint: Mapped[str] = mapped_column(String(16))  # the first characters, to tell keys apart
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
