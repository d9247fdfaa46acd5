"""Delete old messages, orphans and dead letters when their retention time is over."""

from datetime import UTC, datetime, timedelta

from service.components import components
from service.database import transaction
from service.database.batches import BATCH, sweep
from service.queries import retention


def delete_old() -> int:
    """Delete old rows within the time of one sweep for each table; return how many.

    A message with its attempts and ledger counts as one row.
    """
    settings, count = components().settings, 0
    if settings.keep_messages is not None:
        count += sweep(_delete_messages)
    if settings.keep_orphans is not None:
        count += sweep(_delete_orphans) + sweep(_delete_dead_letters)
    return count


def _delete_messages() -> int:
    with transaction():
        ids = retention.old_messages(_days_ago(components().settings.keep_messages), BATCH)
        retention.delete_messages(ids)
    return len(ids)


def _delete_orphans() -> int:
    with transaction():
        return retention.delete_orphans(_days_ago(components().settings.keep_orphans), BATCH)


def _delete_dead_letters() -> int:
    with transaction():
        return retention.delete_dead_letters(_days_ago(components().settings.keep_orphans), BATCH)


def _days_ago(days: float | None) -> datetime:
    assert days is not None
    return datetime.now(UTC) - timedelta(days=days)
