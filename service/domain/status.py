"""The statuses of a message. The order of definition is their rank."""

from enum import StrEnum


class Status(StrEnum):
    """Our status of a message; later members outrank earlier ones."""

    rank: int  # distinct for every status; set below

    # No provider has reported anything yet.
    PENDING = "pending"  # stored, waiting for a worker
    SUBMITTING = "submitting"  # claimed by a worker
    IN_DOUBT = "in_doubt"  # the request was sent, no answer came

    # Reported by providers, or decided by us.
    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    # Below every evidence of transmission: a transmitted message did not expire and was not
    # canceled in time. A cancellation by the client outranks an expiry.
    EXPIRED = "expired"
    CANCELED = "canceled"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    # Proof of delivery outranks every failure.
    DELIVERED = "delivered"
    READ = "read"


for _rank, _status in enumerate(Status):
    _status.rank = _rank

UNREPORTED = frozenset({Status.PENDING, Status.SUBMITTING, Status.IN_DOUBT})
FAILURES = frozenset({Status.EXPIRED, Status.CANCELED, Status.FAILED, Status.UNDELIVERED})
SUCCESSES = frozenset({Status.DELIVERED, Status.READ})
FINAL = FAILURES | SUCCESSES
# The message was handed to the mobile network: sent again, it may arrive twice.
ON_AIR = SUCCESSES | {Status.SENDING, Status.SENT, Status.UNDELIVERED}


def is_final(status: Status) -> bool:
    """Return whether to stop polling; later reports are recorded all the same."""
    return status in FINAL
