"""Events, and the order in which the feed shows them.

An id is taken before its transaction commits, so a reader of ids could pass one that appears later.
The feed is ordered by transaction, and shows those that are older than every one still running: no
event can appear before a position that was shown. An event of a subtransaction has the number of
its whole transaction; a prepared transaction counts as running. On SQLite one transaction writes at
a time, and ids are in the order of commits.
https://www.postgresql.org/docs/current/functions-info.html (pg_snapshot_xmin)
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    cast,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.orm import aliased

from service.database import db
from service.models import Client, Event, InboundMessage, Message
from service.queries.dialect import any_of, is_postgresql

MESSAGE_UPDATED: Final = "message.updated"
MESSAGE_RECEIVED: Final = "message.received"
WEBHOOK_TEST: Final = "webhook.test"  # to one endpoint; not in the feed
ORDER: Final = (Event.transaction_id, Event.id)

# What an event is about.
Subject = Message | InboundMessage
Position = tuple[int, int]  # transaction and id
START: Final[Position] = (-1, 0)
#: Events that one page compares with its types.
MOST_COMPARED: Final = 10_000


def append_test(client_id: int, now: datetime) -> int:
    """Add an event that tests an endpoint; return its id."""
    values = {"client_id": client_id, "type": WEBHOOK_TEST, "created_at": now}
    statement = (
        insert(Event).values(transaction_id=transaction_number(), **values).returning(Event.id)
    )
    return int(db.session.execute(statement).scalar_one())


def this_transaction() -> int:
    """Return the number of this transaction: those that ran before have lower ones; 0 on SQLite."""
    return int(db.session.scalars(select(transaction_number())).one())


def end() -> Position:
    """Return the position behind every event that can be shown now.

    Everything before it is committed; what is committed later comes behind it.
    """
    if is_postgresql():
        return int(db.session.scalars(select(_oldest_running())).one()), 0
    # Not max(id): events that were deleted count.
    last = text("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
    return 0, db.session.scalar(last) or 0


def page(
    client_id: int,
    after: Position,
    until: Position,
    limit: int,
    since: datetime | None = None,
) -> Sequence[Event]:
    """Return the next events of a client between two positions, in the order of the feed.

    `since`: only events that are not older.
    """
    return db.session.scalars(_next(client_id, after, until, since).limit(limit)).all()


def page_of_types(
    client_id: int,
    after: Position,
    until: Position,
    limit: int,
    types: Collection[str],
    since: datetime | None = None,
) -> tuple[Sequence[Event], Event | None]:
    """Return the next events as `page` does, but only those of these types.

    No index has the type. So at most 10,000 events are compared; the last of them is returned, too,
    if the page is not full and more events may follow.
    """
    compared = _next(client_id, after, until, since).limit(MOST_COMPARED)
    event = aliased(Event, compared.subquery())
    query = select(event).where(event.type.in_(types)).order_by(event.transaction_id, event.id)
    shown = db.session.scalars(query.limit(limit)).all()
    if len(shown) == limit:
        return shown, None
    return shown, db.session.scalar(compared.offset(MOST_COMPARED - 1).limit(1))


def latest(client_id: int, until: Position, limit: int) -> Sequence[Event]:
    """Return the last events of a client before a position, in the order of the feed."""
    backward = [column.desc() for column in ORDER]
    query = _shown(client_id, until).order_by(*backward).limit(limit)
    return db.session.scalars(query).all()[::-1]


def hidden_since(until: Position) -> datetime | None:
    """Return when the oldest event behind a position was written; one descent for each client."""
    first = (
        select(Event.created_at)
        .where(Event.client_id == Client.id, is_behind(until))
        .order_by(*ORDER)
        .limit(1)
        .scalar_subquery()
    )
    firsts = select(first.label("created_at")).select_from(Client).subquery()
    oldest: datetime | None = db.session.scalar(select(func.min(firsts.c.created_at)))
    return oldest


def last_id() -> int:
    """Return the id of the newest event that is committed."""
    return db.session.scalar(select(func.max(Event.id))) or 0


def renumber(after: int, until: int, limit: int) -> tuple[int, int]:
    """Put a batch of events, from one id to another, before those of all transactions to come.

    Returns the last id of the batch, or `until` at the end, and how many events it has.
    """
    batch = select(Event.id).where(Event.id > after, Event.id <= until)
    ids = db.session.scalars(batch.order_by(Event.id).limit(limit)).all()
    last = ids[-1] if len(ids) == limit else until
    statement = update(Event).where(Event.id > after, Event.id <= last)
    db.session.execute(statement.values(transaction_id=0))
    return last, len(ids)


def _next(
    client_id: int, after: Position, until: Position, since: datetime | None
) -> Select[Event]:
    query = _shown(client_id, until).where(is_behind(after))
    if since is not None:
        query = query.where(Event.created_at >= since)
    return query.order_by(*ORDER)


def _shown(client_id: int, until: Position) -> Select[Event]:
    query = select(Event).where(Event.client_id == client_id, _place() <= _position(until))
    return query.where(Event.type != WEBHOOK_TEST)


def is_behind(position: Position) -> ColumnElement[bool]:
    """Return the condition that an event is behind a position."""
    return _place() > _position(position)


def _place() -> ColumnElement[Any]:
    return tuple_(*ORDER)


def _position(position: Position) -> ColumnElement[Any]:
    return tuple_(*(literal(number, BigInteger) for number in position))


def unassigned_transaction() -> ColumnElement[int]:
    """Return the lowest number that no transaction of this server has had (PostgreSQL only)."""
    return _number(func.pg_snapshot_xmax(func.pg_current_snapshot()))


def transaction_number() -> ColumnElement[int]:
    """Return the number of this transaction, which orders the feed."""
    return _number(func.pg_current_xact_id()) if is_postgresql() else literal(0, BigInteger)


def _oldest_running() -> ColumnElement[int]:
    return _number(func.pg_snapshot_xmin(func.pg_current_snapshot()))


def _number(transaction: Any) -> ColumnElement[int]:
    """Return a transaction id of 64 bits, which does not wrap around, as a number."""
    return cast(cast(transaction, Text), BigInteger)


def with_subjects(ids: Collection[int]) -> dict[int, tuple[Event, Subject | None]]:
    """Return events by id, each with its message; None if it has none, or none any more."""
    query = (
        select(Event, Message, InboundMessage)
        .outerjoin(Message, Message.id == Event.message_id)
        .outerjoin(InboundMessage, InboundMessage.id == Event.message_id)
    )
    rows = db.session.execute(query.where(any_of(Event.id, ids)))
    return {event.id: (event, message or received) for event, message, received in rows}
