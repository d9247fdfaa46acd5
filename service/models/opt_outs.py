"""The suppression list."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import UtcDateTime


class OptOut(Model):
    """A recipient who opted out of messages from a sender (a number or a Messaging Service)."""

    __tablename__ = "opt_out"
    # The recipient comes first: a batch of claims is looked up by recipient.
    to: Mapped[str] = mapped_column(String(255), primary_key=True)
    sender: Mapped[str] = mapped_column(String(255), primary_key=True)
    provider: Mapped[str] = mapped_column(String(32), primary_key=True)
    error_code: Mapped[str] = mapped_column(String(64))
    since: Mapped[datetime] = mapped_column(UtcDateTime)  # the provider's latest report
