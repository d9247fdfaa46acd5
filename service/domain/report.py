"""Status reports: what a provider, or the client, states about one message."""

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
    """The origin of a report."""

    API = "api"  # the provider's answer to a send or a cancellation
    CALLBACK = "callback"
    RECONCILIATION = "reconciliation"  # we asked the provider
    CLIENT = "client"  # a cancellation by the client


class Price(NamedTuple):
    """The price of a message; providers write a charge as a negative amount."""

    amount: Decimal
    currency: str


class StatusReport(NamedTuple):
    """One statement about one message, normalised, with the original payload."""

    provider: str
    source: Source
    word: str  # the provider's status
    status: Status | None  # our status; None if `word` is unknown
    received_at: datetime
    message_id: UUID | None = None  # only if there is no attempt
    attempt_id: UUID | None = None
    # Without an attempt: 0, or the number of the resend that the report follows.
    attempt_number: int = 0
    provider_sid: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    provider_time: str | None = None  # text without a zone; never used for ordering
    segments: int | None = None
    price: Price | None = None
    raw: Mapping[str, Any] = {}  # a Mapping, so that it is never modified

    @property
    def identity(self) -> bytes:
        """Return the key that identifies repeats of this report (32 bytes).

        The time of arrival and `raw` are not part of it. The first 6 bytes are the creation time
        in the id of the attempt or message: reports about attempts of one hour are on few pages
        of the ledger's index.
        """
        parts = [
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
            *([self.attempt_number] if self.attempt_number else ()),
        ]
        digest = hashlib.sha256(json.dumps(parts).encode()).digest()
        subject = self.attempt_id or self.message_id
        return subject.bytes[:6] + digest[:26] if subject else digest
