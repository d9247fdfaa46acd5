"""Events, and the order in which the feed shows them.

An id is taken before its transaction commits, so a reader of ids could pass one that appears later.
The feed is ordered by transaction, and shows those that are older than every one still running: no
event can appear before a position that was shown. On SQLite one transaction writes at a time, and
ids are in the order of commits.
https://www.postgresql.org/docs/current/functions-info.html (pg_snapshot_xmin)
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, insert, literal, select, tuple_

from service.database import db
from service.models import Event, Message
from service.queries.dialect import any_of, is_postgresql

MESSAGE_UPDATED: Final = "message.updated"
WEBHOOK_TEST: Final = "webhook.test"  # to one endpoint; not in the feed

Position = tuple[int, int]  # transaction and id


def append_test(client_id: int, now: datetime) -> int:
    """Add an event that tests an endpoint; return its id."""
    values = {"client_id": client_id, "type": WEBHOOK_TEST, "created_at": now}
    statement = (
        insert(Event).values(transaction_id=transaction_number(), **values).returning(Event.id)
    )
    return int(db.session.execute(statement).scalar_one())


def page(client_id: int, after: Position, limit: int) -> Sequence[Event]:
    """Return the next events of a client behind a position, in the order of the feed."""
    place = tuple_(Event.transaction_id, Event.id)
    query = (
        select(Event)
        .where(Event.client_id == client_id, place > tuple_(*map(literal, after)))
        .where(Event.type != WEBHOOK_TEST)
        .order_by(Event.transaction_id, Event.id)
        .limit(limit)
    )
    if is_postgresql():
        query = query.where(Event.transaction_id < _oldest_running())
    return db.session.scalars(query).all()


def transaction_number() -> ColumnElement[int]:
    """Return the number of this transaction, which orders the feed."""
    return _number(func.pg_current_xact_id()) if is_postgresql() else literal(0, BigInteger)


def _oldest_running() -> ColumnElement[int]:
    return _number(func.pg_snapshot_xmin(func.pg_current_snapshot()))


def _number(transaction: Any) -> ColumnElement[int]:
    """Return a transaction id of 64 bits, which does not wrap around, as a number."""
    return cast(cast(transaction, Text), BigInteger)


def with_messages(ids: Collection[int]) -> dict[int, tuple[Event, Message | None]]:
    """Return events by id, each with its message; None if it has none, or none any more."""
    query = select(Event, Message).outerjoin(Message, Message.id == Event.message_id)
    rows = db.session.execute(query.where(any_of(Event.id, ids)))
    return {event.id: (event, message) for event, message in rows}
