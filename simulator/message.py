"""One message: the create request, its statuses, and its callbacks."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlsplit

from simulator.accounts import Account
from simulator.outcomes import Outcome

FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "read"})


@dataclass(frozen=True, slots=True)
class Order:
    """A valid create request of one account."""

    account: Account
    to: str
    sender: str | None
    service: str | None
    body: str
    media: tuple[str, ...] = ()
    content_sid: str | None = None
    status_callback: str | None = None
    send_at: datetime | None = None
    reference: str | None = None  # Sinch's `client_reference`
    validity_period: float | None = None  # Twilio: seconds in the queue
    expire_at: datetime | None = None  # Sinch

    @property
    def provider(self) -> str:
        """Return the name of the provider."""
        return self.account.provider

    @property
    def recipient_number(self) -> str:
        """Return the recipient without the prefix of a channel."""
        return self.to.rpartition(":")[2]

    @property
    def attempt_id(self) -> str | None:
        """Return the client's own id: the last segment of the path of its callback URL."""
        if not self.status_callback:
            return self.reference
        return urlsplit(self.status_callback).path.rpartition("/")[2] or None

    @property
    def channel(self) -> str | None:
        """Return `whatsapp` or `rcs`, or None for SMS and MMS."""
        prefix, colon, _ = self.to.partition(":")
        return prefix if colon else None

    @property
    def first_status(self) -> str:
        """Return the status in the answer to the create request. No callback reports it."""
        if self.send_at:
            return "scheduled"
        return "accepted" if self.service or self.provider == "sinch" else "queued"


@dataclass(slots=True)
class Try:
    """One callback request that was sent, and its result."""

    status: str
    url: str
    token: str
    number: int  # 1: the first try; above: a retry
    copy: int  # 1: the original; above: a duplicate
    at: datetime
    answer: int | None = None
    answer_type: str | None = None
    answer_body: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Message:
    """A message that the provider accepted, with its whole history."""

    number: int
    sid: str
    order: Order
    outcome: Outcome
    fault: str | None
    sender: str | None
    body: str
    body_sha256: str
    created_at: datetime
    updated_at: datetime
    position: int = 0  # in the list of messages
    status: str = ""
    sent_at: datetime | None = None
    error_code: int | None = None
    expires_at: datetime | None = None  # the end of its time in the provider's queue
    on_air: list[datetime] = field(default_factory=list)
    deleted: bool = False
    events: int = 0  # callbacks due so far
    statuses: list[str] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    release: asyncio.Event | None = None  # only while the message is scheduled

    @property
    def account(self) -> Account:
        """Return the account that sent it."""
        return self.order.account


def new_message(
    number: int, sid: str, order: Order, outcome: Outcome, fault: str | None = None
) -> Message:
    """Return a new message without a status."""
    now = datetime.now(UTC)
    return Message(
        number=number,
        sid=sid,
        order=order,
        outcome=outcome.on_channel() if order.channel else outcome,
        fault=fault,
        sender=order.sender,
        body=order.body,
        body_sha256=sha256(order.body.encode()).hexdigest(),
        created_at=now,
        updated_at=now,
    )
