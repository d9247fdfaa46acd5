"""Retain: keep ended messages and what belongs to nobody for a set time, then delete them."""

from datetime import UTC, datetime, timedelta

from service.components import components
from service.database import transaction
from service.database.batches import BATCH, sweep
from service.queries import retention


def delete_old() -> int:
    """Delete what is old enough, as much as fits into one sweep; return how many rows.

    A message counts as one, whatever it has in attempts and ledger.
    """
    settings, done = components().settings, 0
    if settings.keep_messages is not None:
        done += sweep(_some_messages)
    if settings.keep_orphans is not None:
        done += sweep(_some_orphans) + sweep(_some_dead_letters)
    return done


def _some_messages() -> int:
    with transaction():
        ids = retention.old_messages(_before(components().settings.keep_messages), BATCH)
        retention.delete_messages(ids)
    return len(ids)


def _some_orphans() -> int:
    with transaction():
        return retention.delete_orphans(_before(components().settings.keep_orphans), BATCH)


def _some_dead_letters() -> int:
    with transaction():
        return retention.delete_dead_letters(_before(components().settings.keep_orphans), BATCH)


def _before(days: float | None) -> datetime:
    assert days is not None
    return datetime.now(UTC) - timedelta(days=days)
