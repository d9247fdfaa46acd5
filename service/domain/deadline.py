"""The deadline of a message: acceptance, or `send_at`, plus `validity_period`."""

from datetime import datetime, timedelta
from typing import Protocol


class Expiring(Protocol):
    """A message, or the answer to a call for one."""

    @property
    def expires_at(self) -> datetime | None:
        """Return the time after which the message must not be sent."""


def deadline(begin: datetime, validity_period: int | None) -> datetime | None:
    """Return the time after which a message must not be sent; None where it has no validity."""
    return None if validity_period is None else begin + timedelta(seconds=validity_period)


def is_past_deadline(message: Expiring, now: datetime) -> bool:
    """Tell whether the deadline of a message is over."""
    return message.expires_at is not None and now >= message.expires_at


def before_deadline(moment: datetime, message: Expiring) -> datetime:
    """Return this time, or the deadline of the message where that comes first."""
    return moment if message.expires_at is None else min(moment, message.expires_at)
