"""One inbound message: what a person wrote, and the requests to the webhook URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.accounts import Account
from simulator.message import Try


@dataclass(frozen=True, slots=True)
class InboundText:
    """What a person writes to a number of an account."""

    account: Account
    sender: str  # the person
    to: str
    body: str
    service: str | None = None  # the Messaging Service of the number
    media: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)  # added to the request
    answered_sid: str | None = None  # the provider says which message is answered
    answered_reference: str | None = None

    @property
    def channel(self) -> str | None:
        """Return `whatsapp` or `rcs`, or None for SMS and MMS."""
        prefix, colon, _ = self.sender.partition(":")
        return prefix if colon else None

    @property
    def conversation(self) -> str:
        """Return person and number: messages of one conversation may overtake one another."""
        return f"{self.sender} {self.to}"


@dataclass(slots=True)
class InboundMessage:
    """A message that the provider took from a person."""

    number: int
    sid: str
    text: InboundText
    received_at: datetime
    position: int = 0  # in the list of messages
    deleted: bool = False
    tries: list[Try] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    @property
    def account(self) -> Account:
        """Return the account to which the number belongs."""
        return self.text.account

    @property
    def sender(self) -> str:
        """Return the person."""
        return self.text.sender

    @property
    def sent_at(self) -> datetime:
        """Return when Twilio called the webhook URL, as its list shows it."""
        return self.received_at

    @property
    def acknowledged(self) -> bool:
        """Return whether a request was answered with 2xx."""
        return any(entry.answer is not None and entry.answer // 100 == 2 for entry in self.tries)
