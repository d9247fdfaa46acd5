"""Queries of the operators' overview. Each reads a bounded piece of an index.

Messages are found by the time inside their ids (UUIDv7), so that they need no index on a time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    bindparam,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute

from service.database import db
from service.domain.message_ids import first_id
from service.domain.report import Source
from service.domain.status import SUCCESSES, Status
from service.models import DeadLetter, Message, Overflow, StatusEvent

# A count stops here: whether ten thousand wait or a million is the same to whoever is called.
MOST: Final = 10_000
# Events that are looked at for each callback that is wanted.
_LOOKED_AT: Final = 10


class Count(NamedTuple):
    """How many messages or callbacks are alike; `status` is None for a word we do not know."""

    status: str | None
    provider: str
    error_code: str | None
    number: int


class Heap(NamedTuple):
    """What waits for something: how many (up to `MOST` + 1), and since when the oldest does."""

    number: int
    oldest: datetime | None


class Heard(NamedTuple):
    """One callback, as far as times go. `created_at` and `send_at` are those of its message."""

    status: Status | None
    received_at: datetime
    recorded_at: datetime | None
    created_at: datetime | None
    send_at: datetime | None


def messages_between(start: datetime, end: datetime) -> list[Count]:
    """Count the messages accepted from `start` to before `end`, as they are now."""
    what = Message.status, Message.provider, Message.error_code
    query = select(*what, func.count()).where(
        Message.id >= first_id(start), Message.id < first_id(end)
    )
    return [Count(*row) for row in db.session.execute(query.group_by(*what))]


def callbacks_between(start: datetime, end: datetime) -> list[Count]:
    """Count the statements that callbacks brought from `start` to before `end`."""
    what = StatusEvent.status, StatusEvent.provider, StatusEvent.error_code
    query = select(*what, func.count()).where(
        StatusEvent.received_at >= start,
        StatusEvent.received_at < end,
        StatusEvent.source == Source.CALLBACK,
    )
    return [Count(*row) for row in db.session.execute(query.group_by(*what))]


def latest_callbacks(since: datetime, limit: int) -> list[Heard]:
    """Return the times of the callbacks that came last, and of the messages they delivered."""
    what = StatusEvent.message_id, StatusEvent.status, StatusEvent.received_at
    # Where sends go out and no callback comes, an hour of other events is not passed over.
    events = (
        select(*what, StatusEvent.recorded_at, StatusEvent.source)
        .where(StatusEvent.received_at >= since)
        .order_by(StatusEvent.received_at.desc())
        .limit(_LOOKED_AT * limit)
        .subquery()
    )
    latest = select(events).where(events.c.source == Source.CALLBACK).limit(limit).subquery()
    proof = (Message.id == latest.c.message_id) & latest.c.status.in_(SUCCESSES)
    times = latest.c.status, latest.c.received_at, latest.c.recorded_at
    query = select(*times, Message.created_at, Message.send_at).outerjoin(Message, proof)
    return [Heard(*row) for row in db.session.execute(query)]


def measure(**moments: datetime) -> dict[str, Heap]:
    """Measure all heaps in one statement; `moments` are those named in `_HEAPS`."""
    rows = db.session.execute(_MEASURED, moments)
    return {name: Heap(number, oldest) for name, number, oldest in rows}


def doubts(limit: int) -> Sequence[Message]:
    """Return messages in doubt: those for a person to decide first, then the oldest."""
    query = select(Message).where(Message.doubt_since.is_not(None))
    query = query.order_by(Message.doubt_since)
    people = db.session.scalars(query.where(Message.check_at.is_(None)).limit(limit)).all()
    # Every message for a person is known by now, so that this passes over fewer than `limit`.
    others = query.where(Message.check_at.is_not(None)).limit(limit - len(people))
    return [*people, *(db.session.scalars(others) if len(people) < limit else ())]


def _waiting(since: InstrumentedAttribute[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Ask for what waits since the time in a column, which an index holds."""
    return select(since.label("since")).where(*conditions).order_by(since)


# What waits for whom; the flow that measures them says more.
_HEAPS: Final[dict[str, Select[Any]]] = {
    "due": _waiting(Message.due_at, Message.due_at <= bindparam("now")),
    "claims": _waiting(Message.claimed_until, Message.claimed_until < bindparam("ended")),
    "checks": _waiting(Message.check_at, Message.check_at < bindparam("overdue")),
    "unknown": _waiting(Message.unknown_since, Message.unknown_since >= bindparam("lately")),
    "overflow": select(Overflow.received_at.label("since")).order_by(Overflow.id),
    "dead": select(DeadLetter.set_aside_at.label("since")).order_by(DeadLetter.id),
    "doubt": _waiting(Message.doubt_since, Message.doubt_since.is_not(None)),
    "people": _waiting(
        Message.doubt_since, Message.doubt_since.is_not(None), Message.check_at.is_(None)
    ),
}


def _measured() -> CompoundSelect[Any]:
    parts = []
    for name, heap in _HEAPS.items():
        found = heap.limit(MOST + 1).subquery()
        what = literal(name), func.count(), func.min(found.c.since)
        parts.append(select(*what).select_from(found))
    return union_all(*parts)


_MEASURED: Final = _measured()  # made once: to make it takes as long as to run it
