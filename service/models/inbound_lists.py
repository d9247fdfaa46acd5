"""How far the providers' lists of inbound messages were read."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import UtcDateTime


class InboundList(Model):
    """A list of inbound messages at a provider, and how far it was read.

    All messages until `read_until` are recorded. A list that is longer than one run reads is
    continued: `window_end` and `page` are where, and null between two readings.
    """

    __tablename__ = "inbound_list"
    provider: Mapped[str] = mapped_column(String(32), primary_key=True)
    account: Mapped[str] = mapped_column(String(32), primary_key=True)
    sender: Mapped[str] = mapped_column(String(255), primary_key=True)  # `*`: of the whole account
    read_until: Mapped[datetime] = mapped_column(UtcDateTime)
    window_end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    page: Mapped[str | None] = mapped_column(Text)
    # When it is read next. While a worker reads it, the end of the lease: the worker's token.
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
