"""The deadline of a message: after it the message must not be sent."""

from datetime import datetime
from typing import Protocol


class Expiring(Protocol):
    """A message, or the answer to an attempt to send it."""

    @property
    def expires_at(self) -> datetime | None:
        """Return the time after which the message must not be sent."""


def is_past_deadline(message: Expiring, now: datetime) -> bool:
    """Return whether the deadline of a message has passed."""
    return message.expires_at is not None and now >= message.expires_at


def before_deadline(moment: datetime, message: Expiring) -> datetime:
    """Return the earlier of this time and the deadline of the message."""
    return moment if message.expires_at is None else min(moment, message.expires_at)
