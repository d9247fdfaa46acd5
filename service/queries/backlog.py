"""Counts of the rows that wait for something, each read from an index and capped."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, func, literal, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from service.database import db
from service.models import DeadLetter, Message, Overflow

# Larger backlogs are reported as this: an exact count of a million rows takes seconds.
COUNT_LIMIT: Final = 10_000
# A sweep runs every few seconds. Only what is overdue by more than this is reported.
_SWEEP_GRACE: Final = timedelta(seconds=60)
_LOOK_UP_GRACE: Final = timedelta(seconds=120)


class Backlog(NamedTuple):
    """How many rows wait (`COUNT_LIMIT` at most), and since when the oldest does."""

    size: int
    oldest: datetime | None

    def age(self, now: datetime) -> float:
        """Return for how many seconds the oldest row has waited."""
        return max(0.0, (now - self.oldest).total_seconds()) if self.oldest else 0.0


class Backlogs(NamedTuple):
    """Every backlog in the database."""

    due: Backlog  # pending messages whose time has come
    expired_claims: Backlog  # claimed by a worker that stopped, and not yet released
    overdue_look_ups: Backlog
    unknown: Backlog  # reconciliation stopped within the last 24 hours
    overflow: Backlog
    dead_letters: Backlog
    in_doubt: Backlog
    undecided: Backlog  # in doubt, and only a person can decide


def measure(now: datetime) -> Backlogs:
    """Return every backlog, read in one statement."""
    values = {
        "now": now,
        "claims_before": now - _SWEEP_GRACE,
        "look_ups_before": now - _LOOK_UP_GRACE,
        "unknown_after": now - timedelta(days=1),
        "limit": COUNT_LIMIT,
    }
    rows = db.session.execute(_MEASURE, values)
    return Backlogs(**{name: Backlog(size, oldest) for name, size, oldest in rows})


def _since(column: InstrumentedAttribute[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Return a query for the times in a column that has an index."""
    return select(column.label("since")).where(*conditions).order_by(column)


_IN_DOUBT: Final = Message.doubt_since.is_not(None)
_QUERIES: Final[dict[str, Select[Any]]] = {
    "due": _since(Message.due_at, Message.due_at <= bindparam("now")),
    "expired_claims": _since(
        Message.claimed_until, Message.claimed_until < bindparam("claims_before")
    ),
    "overdue_look_ups": _since(Message.check_at, Message.check_at < bindparam("look_ups_before")),
    "unknown": _since(Message.unknown_since, Message.unknown_since >= bindparam("unknown_after")),
    "overflow": select(Overflow.received_at.label("since")).order_by(Overflow.id),
    "dead_letters": select(DeadLetter.set_aside_at.label("since")).order_by(DeadLetter.id),
    "in_doubt": _since(Message.doubt_since, _IN_DOUBT),
    "undecided": _since(Message.doubt_since, _IN_DOUBT, Message.check_at.is_(None)),
}


def _count(name: str, query: Select[Any]) -> Select[str, int, Any]:
    rows = query.limit(bindparam("limit", COUNT_LIMIT)).subquery()
    return select(literal(name), func.count(), func.min(rows.c.since)).select_from(rows)


# Built once: building it takes as long as running it.
_MEASURE: Final = union_all(*(_count(name, query) for name, query in _QUERIES.items()))
