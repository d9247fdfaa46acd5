"""Redact: take out of ended messages what was written, and leave what became of it.

A message has ended when it is final, or when we stopped asking about it. What is said of it after
its redaction is written down without what the redaction took out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from service.components import components
from service.database import transaction
from service.database.batches import BATCH, sweep
from service.models import StatusEvent
from service.privacy.mentions import Mention
from service.queries import redaction
from service.recording.redaction import impersonal
from service.recording.rows import random_identity, unquoted_identity


def redact() -> int:
    """Redact the messages whose time has come, as many as fit into one sweep; return how many."""
    done = forget_marked()
    return done if components().settings.redact_after is None else done + sweep(_redact_some)


def forget_marked() -> int:
    """Forget the messages that are marked and have ended; return how many."""
    return sweep(_forget_some)


def strip(ids: Sequence[UUID], now: datetime) -> None:
    """Redact messages that this transaction has locked, with their attempts and ledgers."""
    redaction.redact(ids, now)
    rows, taken = [], set[bytes]()
    for event in redaction.events_of(ids):
        row = _stripped(event)
        if row["identity"] in taken:  # two that differed in the provider's words only
            row["identity"] = random_identity(row["identity"])
        taken.add(row["identity"])
        rows.append(row)
    redaction.write_events(rows)


def erase(ids: Sequence[UUID]) -> None:
    """Redact messages and take out the number, also where it is part of an idempotency key."""
    strip(ids, datetime.now(UTC))
    keyed = [
        message.id
        for message in redaction.with_keys(ids)
        if Mention.of(message.to).is_in(message.idempotency_key)
    ]
    redaction.drop_keys(keyed)
    redaction.forget(ids)


def _stripped(event: StatusEvent) -> dict[str, Any]:
    return {
        "key": event.id,
        "raw": impersonal(event.provider, event.word, event.raw),
        "error_message": None,
        "identity": unquoted_identity(event),
    }


def _redact_some() -> int:
    now = datetime.now(UTC)
    age = timedelta(days=components().settings.redact_after or 0)
    with transaction():
        ids = redaction.ended(now - age, BATCH)
        strip(ids, now)
    return len(ids)


def _forget_some() -> int:
    with transaction():
        ids = redaction.to_forget(BATCH)
        erase(ids)
    return len(ids)
