"""Encrypts the signing secrets of all endpoints under the first of WEBHOOK_KEYS."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from service.database import transaction
from service.queries import webhook_secrets
from service.webhooks import secrets

# Endpoints of one transaction. Their rows are locked meanwhile; workers lock them to write results.
_BATCH: Final = 100


class Rotation(NamedTuple):
    """How many endpoints there are, whose secrets were encrypted again, and whose no key fits."""

    endpoints: int
    rotated: int
    unreadable: Sequence[UUID]


def rotate_keys() -> Rotation:
    """Encrypt all secrets under the first key. It can be interrupted and run again."""
    count, rotated, unreadable = 0, 0, list[UUID]()
    last: UUID | None = None
    while True:
        with transaction():
            batch = webhook_secrets.lock_batch(last, _BATCH)
            for endpoint_id, entries in batch:
                rotated += _rotate(endpoint_id, entries)
                if not _is_readable(entries):
                    unreadable.append(endpoint_id)
        count += len(batch)
        if len(batch) < _BATCH:
            return Rotation(count, rotated, unreadable)
        last = batch[-1][0]


def _rotate(endpoint_id: UUID, entries: webhook_secrets.Secrets) -> bool:
    new = secrets.rotated(entries)
    if new == list(entries):
        return False
    webhook_secrets.write(endpoint_id, new)
    return True


def _is_readable(entries: webhook_secrets.Secrets) -> bool:
    now = datetime.now(UTC)
    return all(secrets.is_readable(each) for each in entries if secrets.is_valid(each, now))
