"""Whether a person has opted out: a join of what was said and of what a provider refused.

Like the status of a message, it does not depend on the order in which changes become known.
"""

from datetime import datetime
from typing import Final, NamedTuple

# The reason of an opt-out that a provider's refusal began.
PROVIDER: Final = "provider"


class Said(NamedTuple):
    """What a person, a client or an operator decided. Of two, the greater counts.

    That is the later one; at one time, a begin.
    """

    at: datetime
    begins: bool
    reason: str
    changed_by: str


class Refused(NamedTuple):
    """A call that the provider refused because of an opt-out: when it began, and the code."""

    at: datetime
    error_code: str


class OptOutState(NamedTuple):
    """The last decision, and the last refused call that is not older than it."""

    said: Said | None = None
    refused: Refused | None = None

    @property
    def active(self) -> bool:
        """Return whether messages are suppressed."""
        return bool(self.said and self.said.begins) or self.refused is not None

    def joined(self, other: "OptOutState") -> "OptOutState":
        """Return the state that knows of both: commutative, associative, idempotent.

        A refused call that began before a decision says nothing about it.
        """
        said = max(filter(None, (self.said, other.said)), default=None)
        refused = max(filter(None, (self.refused, other.refused)), default=None)
        if said and refused and refused.at < said.at:
            refused = None
        return OptOutState(said, refused)

    def delivered(self, sent_at: datetime | None) -> "OptOutState":
        """Return the state after a delivery: it disproves earlier refusals, but no decision."""
        if self.refused and sent_at and sent_at > self.refused.at:
            return self._replace(refused=None)
        return self
