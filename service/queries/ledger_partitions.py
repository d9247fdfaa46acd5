"""The monthly partitions of the ledger on PostgreSQL.

Together they take every identity, so that no report is refused: `status_event_rest` (the default)
takes what was recorded before there were partitions, and reports found by their SID, whose identity
has no time. `status_event_past` takes what stays of dropped months, and late reports about them;
`status_event_future` what comes after the last month.

Changes need the caller's transaction and its lock (`lock`).
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy import MetaData, Table, func, select, text

from service.database import db
from service.models import Message, StatusEvent
from service.queries.dialect import any_of, is_postgresql

PAST: Final = "status_event_past"
FUTURE: Final = "status_event_future"
_MONTH: Final = re.compile(r"status_event_\d{4}_\d\d")
_BOUND: Final = re.compile(r"\('\\x([0-9a-f]+)'\)")
_PARTITIONS: Final = text("""
    SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = to_regclass('status_event')
""")
# Apart: the size waits for the locks of changes.
_SIZES: Final = text("""
    SELECT relname, greatest(reltuples, 0)::bigint, pg_total_relation_size(oid)
    FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = to_regclass('status_event')
""")
# Milliseconds that a change waits for transactions that use the ledger; reports that arrive
# meanwhile wait behind it.
_LOCK_TIMEOUT: Final = text("SET LOCAL lock_timeout = 500")
_LOCK: Final = text("LOCK TABLE status_event IN ACCESS EXCLUSIVE MODE")


class Partition(NamedTuple):
    """A part of the ledger, with identities from `start` to before `end`.

    The default partition has no bounds.
    """

    name: str
    start: bytes
    end: bytes

    @property
    def is_month(self) -> bool:
        """Tell whether this is a month, or several that were made too late."""
        return _MONTH.fullmatch(self.name) is not None


class Staying(NamedTuple):
    """Which rows of a month outlive it: the ledgers of messages, and orphans since a time."""

    messages: Sequence[UUID]
    orphans_since: datetime | None  # None: all

    def conditions(self, row: Any) -> list[Any]:
        """Return a condition for each kind; each has an index."""
        orphans = row.message_id.is_(None)
        if self.orphans_since is not None:
            orphans &= row.received_at >= self.orphans_since
        return [any_of(row.message_id, self.messages), orphans]


def partitions() -> list[Partition]:
    """Return the partitions of the ledger in order, the default first; none on SQLite."""
    if not is_postgresql():
        return []
    parts = []
    for name, bounds in db.session.execute(_PARTITIONS):
        start, end = map(bytes.fromhex, _BOUND.findall(bounds) or ("", ""))
        parts.append(Partition(name, start, end))
    return sorted(parts, key=lambda partition: partition.start)


def sizes() -> dict[str, tuple[int, int]]:
    """Return PostgreSQL's estimate of the rows of each partition, and its size in bytes."""
    return {name: (rows, size) for name, rows, size in db.session.execute(_SIZES)}


def months() -> tuple[bytes, bytes]:
    """Return the range of identities whose partitions are dropped one day."""
    parts = partitions()
    return next(part.start for part in parts if part.is_month), parts[-1].end


def lock() -> None:
    """Lock the ledger until the end of the transaction. Raises OperationalError after 0.5 s."""
    db.session.execute(_LOCK_TIMEOUT)
    db.session.execute(_LOCK)


def make_month(future: Partition, name: str, end: bytes) -> None:
    """Make the next month, up to `end`, out of the partition of the future.

    Its rows are in the new month already, also if it is made too late. The others move: reports
    found by their SID whose digest looks like a later time, one in a thousand of these.
    """
    _change(f"ALTER TABLE status_event DETACH PARTITION {FUTURE}")
    _change(f"ALTER TABLE {FUTURE} RENAME TO {name}")
    _change(f"CREATE TABLE {FUTURE} PARTITION OF status_event {_values(end, future.end)}")
    month = _as_ledger(name)
    _copy(month, FUTURE, month.c.identity >= end)
    db.session.execute(month.delete().where(month.c.identity >= end))
    _change(f"ALTER TABLE status_event ATTACH PARTITION {name} {_values(future.start, end)}")


def messages_before(first: UUID, limit: int) -> Sequence[UUID]:
    """Return the oldest messages that were created before this first id of a month."""
    query = select(Message.id).where(Message.id < first)
    return db.session.scalars(query.order_by(Message.id).limit(limit)).all()


def has_many(month: Partition, staying: Staying, many: int) -> bool:
    """Return whether as many rows of a month must stay."""
    ledger, count = _as_ledger(month.name), 0
    for condition in staying.conditions(ledger.c):
        rows = select(ledger.c.id).where(condition).limit(many).subquery()
        count += db.session.scalar(select(func.count()).select_from(rows)) or 0
    return count >= many


def drop_month(month: Partition, past: Partition | None, staying: Staying) -> None:
    """Drop the oldest month without the rows that must stay.

    These move to the partition of the past, which then ends where the month did.
    """
    bounds = _values(past.start if past else month.start, month.end)
    if past:
        _change(f"ALTER TABLE status_event DETACH PARTITION {PAST}")
    _change(f"ALTER TABLE status_event DETACH PARTITION {month.name}")
    if past:
        _change(f"ALTER TABLE status_event ATTACH PARTITION {PAST} {bounds}")
    else:
        _change(f"CREATE TABLE {PAST} PARTITION OF status_event {bounds}")
    ledger = _as_ledger(month.name)
    for condition in staying.conditions(ledger.c):
        _copy(ledger, PAST, condition)
    _change(f"DROP TABLE {month.name}")


def _copy(source: Table, target: str, condition: Any) -> None:
    names = [column.name for column in source.columns]
    rows = select(source).where(condition)
    db.session.execute(_as_ledger(target).insert().from_select(names, rows))


def _as_ledger(name: str) -> Table:
    """Return a partition as a table of its own."""
    return cast(Table, StatusEvent.__table__).to_metadata(MetaData(), name=name)


def _change(statement: str) -> None:
    db.session.execute(text(statement))


def _values(start: bytes, end: bytes) -> str:
    return f"FOR VALUES FROM ({_literal(start)}) TO ({_literal(end)})"


def _literal(identity: bytes) -> str:
    return f"'\\x{identity.hex()}'"
