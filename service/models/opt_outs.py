"""The suppression list."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, String, text, true
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import UtcDateTime

# As each database writes the condition on a boolean column.
_ACTIVE: Final[dict[str, Any]] = {
    "sqlite_where": text("active = 1"),
    "postgresql_where": text("active"),
}


class OptOut(Model):
    """Whether a recipient has opted out of messages from a sender, and who decided it last.

    The sender is a number, a short code, a name, a Messaging Service, or `*` for every sender of
    every provider. A row that has ended stays: an older change that arrives later has no effect.
    The rules are in `service/domain/opt_out.py`.
    """

    __tablename__ = "opt_out"
    # The recipient comes first: a batch of claims is looked up by recipient.
    to: Mapped[str] = mapped_column(String(255), primary_key=True)
    sender: Mapped[str] = mapped_column(String(255), primary_key=True)
    provider: Mapped[str] = mapped_column(String(32), primary_key=True)
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    # keyword, provider, client, operator or import
    reason: Mapped[str] = mapped_column(String(16), server_default="provider")
    changed_by: Mapped[str] = mapped_column(String(255), server_default="provider")
    error_code: Mapped[str | None] = mapped_column(String(64))
    since: Mapped[datetime] = mapped_column(UtcDateTime)  # when it began or ended
    # What a change that arrives later is compared with, beside `since`.
    opted_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the last decision, an end
    refused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # a call refused after it

    __table_args__ = (
        Index("ix_opt_out_active", "to", "sender", "provider", **_ACTIVE),
        Index("ix_opt_out_active_sender", "sender", "to", "provider", **_ACTIVE),
    )
