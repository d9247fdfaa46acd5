"""What differs from carrier to carrier when a message's status is told."""

from dataclasses import dataclass
from typing import Protocol

from simulator.message import Message
from simulator.patience import Patience


@dataclass(frozen=True, slots=True)
class Post:
    """One callback, ready to go out and signed."""

    status: str  # in the carrier's own word
    url: str
    body: bytes
    headers: dict[str, str]
    token: str  # the same for every copy and every retry
    patience: Patience


class Wire(Protocol):
    """How one carrier names messages and writes callbacks."""

    def sid(self, message_digest: bytes, media: bool) -> str:
        """Return the id under which the carrier knows a message; the digest has 16 bytes."""

    def post(self, message: Message) -> Post:
        """Write the present status of a message down for its client."""
