"""Make the monthly partitions of the ledger ahead, and drop those that are old (PostgreSQL only).

A month is dropped when it ended more than `KEEP_MESSAGES` days ago. Rows of it that must stay move
to the partition of the past: ledgers of messages that have not ended for long enough, and orphans
that `KEEP_ORPHANS` keeps.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.exc import DBAPIError

from service.components import components
from service.database import transaction
from service.domain.message_ids import first_id
from service.domain.months import first_identity, month_of, next_month, time_of
from service.queries import ledger_partitions as queries
from service.queries.dialect import advisory_lock, is_postgresql
from service.queries.ledger_partitions import FUTURE, PAST, Partition, Staying

# Beside the current month: beat may stand still for as long.
_MONTHS_AHEAD: Final = 2
# Rows of a month that may stay: they are copied while the ledger is locked.
_MAX_STAYING: Final = 10_000

_log = logging.getLogger(__name__)


def maintain() -> None:
    """Make and drop months; log what was done, and an error: the next run tries again."""
    try:
        for change in change_partitions(datetime.now(UTC)):
            _log.info("ledger partitions: %s", change)
    except DBAPIError as error:
        _log.warning(
            "cannot change the partitions of the ledger (%s); nothing is lost, and the next run"
            " tries again: see flask --app wsgi ledger partitions",
            type(error.orig).__name__,
        )


def change_partitions(now: datetime) -> Iterator[str]:
    """Make and drop months, each in a transaction; yield what was done, or why it was not.

    Raises DBAPIError: the ledger was in use for too long, or belongs to another database role.
    """
    if not is_postgresql():
        return
    keep = components().settings.keep_messages
    while made := _make_month(now):
        yield f"made {made}"
    if keep is not None:
        yield from _drop_months(now, now - timedelta(days=keep))


def list_partitions() -> Iterator[tuple[str, int, int]]:
    """Yield name, estimated rows and bytes of the partitions in order; none on SQLite."""
    with transaction():
        parts = queries.partitions()
        sizes = queries.sizes() if parts else {}
    for part in parts:
        yield part.name, *sizes.get(part.name, (0, 0))


def _make_month(now: datetime) -> str | None:
    """Make the next month, if there are fewer than needed; return its name."""
    needed = month_of(now)
    for _ in range(1 + _MONTHS_AHEAD):
        needed = next_month(needed)
    with _changing() as parts:
        start = time_of(parts[FUTURE].start)
        if start >= needed:
            return None
        name = f"status_event_{start:%Y_%m}"
        queries.lock()
        # The months of a long standstill become one partition.
        end = first_identity(next_month(max(start, now)))
        queries.make_month(parts[FUTURE], name, end)
    return name


def _drop_months(now: datetime, before: datetime) -> Iterator[str]:
    """Drop the months that ended before this time, the oldest first, until one has to stay."""
    keep_orphans = components().settings.keep_orphans
    orphans_since = None if keep_orphans is None else now - timedelta(days=keep_orphans)
    while True:
        with _changing() as parts:
            month = next(part for part in parts.values() if part.is_month)
            if month.end > first_identity(before):
                return
            messages = queries.messages_before(first_id(time_of(month.end)), _MAX_STAYING)
            stays = Staying(messages, orphans_since)
            many = len(messages) == _MAX_STAYING or queries.has_many(month, stays, _MAX_STAYING)
            if not many:
                queries.lock()
                queries.drop_month(month, parts.get(PAST), stays)
        if many:
            yield f"{month.name} stays: too many of its messages and orphans are kept"
            return
        yield f"dropped {month.name}"


@contextmanager
def _changing() -> Iterator[dict[str, Partition]]:
    """Yield the partitions by name in a transaction; one process changes them at a time."""
    with transaction():
        advisory_lock("ledger partitions")
        yield {part.name: part for part in queries.partitions()}
