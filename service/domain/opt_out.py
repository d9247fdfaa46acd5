"""Whether a person has opted out: a join of decisions and of calls that a provider refused.

Like the status of a message, it does not depend on the order in which changes become known.
"""

from datetime import datetime
from typing import Final, NamedTuple

# The reason of an opt-out that a provider's refusal began.
PROVIDER: Final = "provider"


class Decision(NamedTuple):
    """The begin or the end of an opt-out by a person, a client, an operator or an import.

    Of two decisions the greater counts: the later one; at the same time, a begin.
    """

    at: datetime
    begins: bool
    reason: str
    changed_by: str


class Refusal(NamedTuple):
    """A call that the provider refused because of an opt-out: when it began, and the code."""

    at: datetime
    error_code: str


class OptOutState(NamedTuple):
    """The last decision, and the last refused call that is not older than it."""

    decision: Decision | None = None
    refusal: Refusal | None = None

    @property
    def active(self) -> bool:
        """Return whether messages are suppressed."""
        return bool(self.decision and self.decision.begins) or self.refusal is not None

    def joined(self, other: "OptOutState") -> "OptOutState":
        """Return the state that knows of both: commutative, associative, idempotent.

        A refused call that began before a decision says nothing about it.
        """
        decision = max(filter(None, (self.decision, other.decision)), default=None)
        refusal = max(filter(None, (self.refusal, other.refusal)), default=None)
        if decision and refusal and refusal.at < decision.at:
            refusal = None
        return OptOutState(decision, refusal)

    def delivered(self, sent_at: datetime | None) -> "OptOutState":
        """Return the state after a delivery: it disproves earlier refusals, but no decision."""
        if self.refusal and sent_at and sent_at > self.refusal.at:
            return self._replace(refusal=None)
        return self
