"""The deadline of a message: after it the message must not be sent."""

from datetime import datetime, timedelta
from typing import Final, Protocol

#: Longest that a call should need to arrive: only then does the provider begin to count.
ARRIVAL: Final = timedelta(seconds=1)
#: Time that must be left when a call begins: providers take whole seconds, at least 1.
LEAST_TIME_LEFT: Final = ARRIVAL + timedelta(seconds=1)


class Expiring(Protocol):
    """A message, or the answer to an attempt to send it."""

    @property
    def expires_at(self) -> datetime | None:
        """Return the time after which the message must not be sent."""


def is_past_deadline(message: Expiring, now: datetime) -> bool:
    """Return whether it is too late to begin a call that sends a message before its deadline."""
    return message.expires_at is not None and now >= message.expires_at - LEAST_TIME_LEFT


def before_deadline(moment: datetime, message: Expiring) -> datetime:
    """Return the earlier of this time and the last at which a call for the message may begin."""
    if message.expires_at is None:
        return moment
    return min(moment, message.expires_at - LEAST_TIME_LEFT)
