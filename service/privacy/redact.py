"""Redact ended messages: clear their content, keep their status and times.

A message has ended when it is final, or when polling stopped; an inbound message when it has
arrived and no endpoint is owed it. Reports that arrive after the redaction are recorded without
personal data.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from service.components import components
from service.database import transaction
from service.database.batches import BATCH, sweep
from service.models import InboundMessage, StatusEvent
from service.privacy.number_pattern import NumberPattern
from service.queries import inbound_redaction, redaction
from service.recording.redaction import impersonal
from service.recording.rows import random_identity, unquoted_identity


def redact() -> int:
    """Redact the messages that are due, within the time of one sweep; return how many."""
    erased = erase_marked()
    if components().settings.redact_after is None:
        return erased
    return erased + sweep(_redact_batch) + sweep(_redact_inbound_batch)


def erase_marked() -> int:
    """Erase the number from marked messages that have ended; return how many."""
    return sweep(_erase_batch)


def redact_messages(ids: Sequence[UUID], now: datetime) -> None:
    """Redact messages that this transaction has locked, with their attempts and ledgers."""
    redaction.redact(ids, now)
    rows, identities = [], set[bytes]()
    for event in redaction.events_of(ids):
        row = _redacted(event)
        if row["identity"] in identities:  # the events differed only in the provider's text
            row["identity"] = random_identity(row["identity"])
        identities.add(row["identity"])
        rows.append(row)
    redaction.redact_events(rows)


def redacted_inbound(message: InboundMessage, now: datetime) -> dict[str, Any]:
    """Return the columns of a redacted inbound message; `key` is its id."""
    return {
        "key": message.id,
        "body": None,
        "media": [],
        "raw": impersonal(message.provider, "", message.raw),
        "redacted_at": message.redacted_at or now,
    }


def erase_messages(ids: Sequence[UUID]) -> None:
    """Redact marked messages and erase the number, also where the idempotency key holds it."""
    redact_messages(ids, datetime.now(UTC))
    with_number = [
        message.id
        for message in redaction.with_idempotency_key(ids)
        if NumberPattern.of(message.to).is_in(message.idempotency_key)
    ]
    redaction.clear_idempotency_keys(with_number)
    redaction.erase_recipient(ids)


def _redacted(event: StatusEvent) -> dict[str, Any]:
    return {
        "key": event.identity,
        "raw": impersonal(event.provider, event.word, event.raw),
        "identity": unquoted_identity(event),
    }


def _redact_batch() -> int:
    now = datetime.now(UTC)
    with transaction():
        ids = redaction.messages_to_redact(now - _age(), BATCH)
        redact_messages(ids, now)
    return len(ids)


def _redact_inbound_batch() -> int:
    now = datetime.now(UTC)
    with transaction():
        messages = inbound_redaction.messages_to_redact(now - _age(), BATCH)
        inbound_redaction.update_messages([redacted_inbound(each, now) for each in messages])
    return len(messages)


def _age() -> timedelta:
    return timedelta(days=components().settings.redact_after or 0)


def _erase_batch() -> int:
    with transaction():
        ids = redaction.marked_messages(BATCH)
        erase_messages(ids)
    return len(ids)
