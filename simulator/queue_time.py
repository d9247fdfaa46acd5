"""How long messages stay in the provider's queue, and when they expire there.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

from datetime import UTC, datetime, timedelta

from simulator.message import Message, Order
from simulator.outcomes import Outcome

#: Twilio's "Validity Period Expired"; Sinch names it Expired, 406.
EXPIRED = Outcome("failed", 30036)
#: The statuses before transmission.
QUEUED = frozenset({"accepted", "scheduled", "queued"})
_MAX_SECONDS = 86_400.0


class QueueTime:
    """The time that messages wait in the queue; a change affects messages that begin to wait."""

    def __init__(self, seconds: float) -> None:
        self._seconds = 0.0
        self.set(seconds)

    @property
    def seconds(self) -> float:
        """Return the time in the queue."""
        return self._seconds

    def set(self, seconds: float) -> None:
        """Change the time. Raises ValueError."""
        if not 0 <= seconds <= _MAX_SECONDS:
            raise ValueError(f"seconds must be between 0 and {_MAX_SECONDS:g}")
        self._seconds = seconds


def expiry(order: Order) -> datetime | None:
    """Return when a message that enters the queue now expires there."""
    if order.validity_period is None:
        return order.expire_at
    return datetime.now(UTC) + timedelta(seconds=order.validity_period)


def seconds_left(message: Message) -> float:
    """Return the time until a message expires in the queue; infinite once it has left it."""
    if message.expires_at is None or message.status not in QUEUED:
        return float("inf")
    return (message.expires_at - datetime.now(UTC)).total_seconds()
