"""The statuses of a message, in rank order. The order of definition *is* the rule."""

from enum import StrEnum


class Status(StrEnum):
    """Our word for where a message is; later members outrank earlier ones."""

    # Our own words, about a message of which no provider has yet said anything.
    PENDING = "pending"  # stored, waiting for a worker
    SUBMITTING = "submitting"  # claimed by a worker
    IN_DOUBT = "in_doubt"  # the request went out, no answer came

    # What providers report.
    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    # Below every sign of transmission: a message seen on the air did not expire here, and was not
    # canceled in time. A client's cancellation outranks our own clock.
    EXPIRED = "expired"
    CANCELED = "canceled"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    # Proof of delivery outranks every failure.
    DELIVERED = "delivered"
    READ = "read"

    @property
    def rank(self) -> int:
        """Return the place in the order; distinct for every status."""
        return _RANK[self]


_RANK = {status: rank for rank, status in enumerate(Status)}

OWN = frozenset({Status.PENDING, Status.SUBMITTING, Status.IN_DOUBT})
FAILURES = frozenset({Status.EXPIRED, Status.CANCELED, Status.FAILED, Status.UNDELIVERED})
SUCCESSES = frozenset({Status.DELIVERED, Status.READ})
FINAL = FAILURES | SUCCESSES


def is_final(status: Status) -> bool:
    """Tell whether to stop asking the provider; recording never stops listening."""
    return status in FINAL
