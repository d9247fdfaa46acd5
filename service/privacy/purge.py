"""Delete messages, holds, orphans, dead letters and events when their time is over."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from service.components import components
from service.database import transaction
from service.database.batches import BATCH, sweep
from service.event_feed.cursor import oldest_kept
from service.queries import inbound_redaction, retention


def delete_old() -> int:
    """Delete old rows within the time of one sweep for each table; return how many.

    A message with its attempts and ledger counts as one row.
    """
    settings, count = components().settings, 0
    if settings.keep_messages is not None:
        count += _sweep(_delete_messages, settings.keep_messages)
        count += _sweep(inbound_redaction.delete_old, settings.keep_messages)
        count += _sweep(retention.delete_holds, settings.keep_messages)
    if settings.keep_orphans is not None:
        count += _sweep(retention.delete_orphans, settings.keep_orphans)
        count += _sweep(retention.delete_dead_letters, settings.keep_orphans)
    return count + delete_old_events()


def delete_old_events() -> int:
    """Delete old events with their deliveries, and what belongs to deleted endpoints."""

    def delete_deliveries() -> int:
        with transaction():
            return retention.delete_deliveries_of_deleted_endpoints(BATCH)

    return (
        _sweep_before(retention.delete_events, oldest_kept)
        + sweep(delete_deliveries)
        + _sweep_before(retention.delete_endpoints, oldest_kept)
    )


def _sweep(delete: Callable[[datetime, int], int], days: float) -> int:
    return _sweep_before(delete, lambda now: now - timedelta(days=days))


def _sweep_before(
    delete: Callable[[datetime, int], int], before: Callable[[datetime], datetime]
) -> int:
    def delete_batch() -> int:
        with transaction():
            return delete(before(datetime.now(UTC)), BATCH)

    return sweep(delete_batch)


def _delete_messages(before: datetime, limit: int) -> int:
    rows = retention.old_messages(before, limit)
    retention.delete_messages(rows)
    return len(rows)
