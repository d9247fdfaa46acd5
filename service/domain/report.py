"""What a provider, or the client, states about one message."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from service.domain.status import Status


class Source(StrEnum):
    """How a report reached us."""

    API = "api"  # the provider's answer to a send or a cancellation
    CALLBACK = "callback"
    RECONCILIATION = "reconciliation"  # we asked the provider later
    CLIENT = "client"  # the internal service that owns the message


class Price(NamedTuple):
    """What the provider charged; providers write a charge as a negative amount."""

    amount: Decimal
    currency: str


class StatusReport(NamedTuple):
    """One statement about one message, in our words, with its evidence."""

    provider: str
    source: Source
    word: str  # the provider's own word for the status
    status: Status | None  # ours; None when we do not know the word
    received_at: datetime
    message_id: UUID | None = None  # only where no attempt was made
    attempt_id: UUID | None = None
    provider_sid: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    provider_time: str | None = None  # the provider's own text; has no zone, orders nothing
    segments: int | None = None
    price: Price | None = None
    raw: Mapping[str, Any] = {}  # a Mapping: nobody writes into it

    @property
    def identity(self) -> bytes:
        """Return the key under which a repeat of this statement is recognised (32 bytes).

        When it arrived and what else came with it are not part of what was said. It begins
        as the id of the attempt does, or else of the message, with the time at which that was
        made: what is said about attempts of one hour lands on few pages of the ledger's index.
        """
        said = [
            self.provider,
            self.source,
            self.word,
            str(self.message_id or ""),
            str(self.attempt_id or ""),
            self.provider_sid,
            self.error_code,
            self.error_message,
            self.provider_time,
            self.segments,
            [str(self.price.amount), self.price.currency] if self.price else None,
        ]
        digest = hashlib.sha256(json.dumps(said).encode()).digest()
        about = self.attempt_id or self.message_id
        return about.bytes[:6] + digest[:26] if about else digest
