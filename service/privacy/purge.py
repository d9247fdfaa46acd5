"""Delete old messages, holds, orphans and dead letters when their retention time is over."""

from collections.abc import Callable
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
        count += _sweep(_delete_messages, settings.keep_messages)
        count += _sweep(retention.delete_holds, settings.keep_messages)
    if settings.keep_orphans is not None:
        count += _sweep(retention.delete_orphans, settings.keep_orphans)
        count += _sweep(retention.delete_dead_letters, settings.keep_orphans)
    return count


def _sweep(delete: Callable[[datetime, int], int], days: float) -> int:
    def delete_batch() -> int:
        with transaction():
            return delete(datetime.now(UTC) - timedelta(days=days), BATCH)

    return sweep(delete_batch)


def _delete_messages(before: datetime, limit: int) -> int:
    ids = retention.old_messages(before, limit)
    retention.delete_messages(ids)
    return len(ids)
