"""What differs between providers: message ids, and the format of their requests to us."""

from dataclasses import dataclass
from typing import Protocol

from simulator.inbound.message import InboundMessage
from simulator.message import Message
from simulator.retry_policy import RetryPolicy


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """One callback, signed and ready to be sent."""

    status: str  # in the provider's own words
    url: str
    body: bytes
    headers: dict[str, str]
    token: str  # the same for every copy and every retry
    retry_policy: RetryPolicy


class ProviderFormat(Protocol):
    """How one provider names messages and writes callbacks."""

    def sid(self, message_digest: bytes, media: bool) -> str:
        """Return the provider's id of a message; the digest has 16 bytes."""

    def callback(self, message: Message) -> CallbackRequest:
        """Return the callback that reports the message's current status."""

    def inbound(self, message: InboundMessage, url: str) -> CallbackRequest:
        """Return the request that brings an inbound message to a webhook URL."""
