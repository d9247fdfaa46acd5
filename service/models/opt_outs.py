"""The suppression list."""

from datetime import datetime

from sqlalchemy import String, true
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import UtcDateTime


class OptOut(Model):
    """Whether a recipient has opted out of messages from a sender, and who said so last.

    The sender is a number, a short code, a name, a Messaging Service, or `*` for every sender of
    every provider. A row that has ended stays: an older change that arrives later has no effect.
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
