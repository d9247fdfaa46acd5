"""One message: what was ordered, what became of it, and what the client was told."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from simulator.fates import Fate

FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "read"})


@dataclass(frozen=True, slots=True)
class Order:
    """A valid create request. `wire` names the carrier that was asked."""

    to: str
    sender: str | None
    service: str | None
    body: str
    media: tuple[str, ...] = ()
    content_sid: str | None = None
    status_callback: str | None = None
    send_at: datetime | None = None
    wire: str = "twilio"
    reference: str | None = None  # the client's own, where the carrier keeps one

    @property
    def channel(self) -> str | None:
        """Return `whatsapp` or `rcs`, or None for SMS and MMS."""
        prefix, colon, _ = self.to.partition(":")
        return prefix if colon else None

    @property
    def first_status(self) -> str:
        """Return the status that the answer to create carries, and no callback."""
        if self.send_at:
            return "scheduled"
        return "accepted" if self.service or self.wire == "sinch" else "queued"


@dataclass(slots=True)
class Try:
    """One callback request as it went out, and what came of it."""

    status: str
    url: str
    token: str
    number: int  # 1 is the first try, the rest are retries
    copy: int  # 1 is the original, the rest are duplicates
    at: datetime
    answer: int | None = None
    error: str | None = None


@dataclass(slots=True)
class Message:
    """A message the carrier took, and its whole history."""

    number: int
    sid: str
    order: Order
    fate: Fate
    fault: str | None
    sender: str | None
    body: str
    body_sha256: str
    created_at: datetime
    updated_at: datetime
    status: str = ""
    sent_at: datetime | None = None
    error_code: int | None = None
    on_air: int = 0
    deleted: bool = False
    events: int = 0  # callbacks due so far
    statuses: list[str] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    release: asyncio.Event | None = None  # only while it waits for its date


def new_message(
    number: int, sid: str, order: Order, fate: Fate, fault: str | None = None
) -> Message:
    """Write a new message down, not yet in any status."""
    now = datetime.now(UTC)
    return Message(
        number=number,
        sid=sid,
        order=order,
        fate=fate.on_channel() if order.channel else fate,
        fault=fault,
        sender=order.sender,
        body=order.body,
        body_sha256=sha256(order.body.encode()).hexdigest(),
        created_at=now,
        updated_at=now,
    )
