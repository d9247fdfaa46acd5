"""Queries of the operators' overview. Each reads a bounded range of an index.

Messages are found by the time inside their ids (UUIDv7): no index on a time is needed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select, text

from service.database import db
from service.domain.message_ids import first_id
from service.domain.report import Source
from service.domain.status import SUCCESSES
from service.models import Message, StatusEvent
from service.queries.dialect import is_postgresql

# Events of other sources that are read for each callback: bounds the read where no callback comes.
_EVENTS_PER_CALLBACK: Final = 10


class StatusCount(NamedTuple):
    """Messages or callbacks with equal status, provider and code; no status: an unknown word."""

    status: str | None
    provider: str
    error_code: str | None
    number: int


class ReceivedCallback(NamedTuple):
    """The times of a callback, and of the message that it reports as delivered."""

    received_at: datetime
    recorded_at: datetime | None
    created_at: datetime | None
    send_at: datetime | None
    resent_at: datetime | None


def limit_statement_time(seconds: float) -> None:
    """Limit every further statement of this transaction, on PostgreSQL.

    On SQLite a read waits for no writer.
    """
    if is_postgresql():
        db.session.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))


def count_messages(start: datetime, end: datetime) -> list[StatusCount]:
    """Count the messages accepted from `start` to before `end`, by their current status."""
    columns = Message.status, Message.provider, Message.error_code
    accepted = Message.id >= first_id(start), Message.id < first_id(end)
    query = select(*columns, func.count()).where(*accepted).group_by(*columns)
    return [StatusCount(*row) for row in db.session.execute(query)]


def count_callbacks(start: datetime, end: datetime) -> list[StatusCount]:
    """Count the distinct reports received in callbacks from `start` to before `end`."""
    columns = StatusEvent.status, StatusEvent.provider, StatusEvent.error_code
    query = select(*columns, func.count()).where(
        StatusEvent.received_at >= start,
        StatusEvent.received_at < end,
        StatusEvent.source == Source.CALLBACK,
    )
    return [StatusCount(*row) for row in db.session.execute(query.group_by(*columns))]


def latest_callbacks(since: datetime, limit: int) -> list[ReceivedCallback]:
    """Return the times of the latest callbacks, and of the messages that they delivered."""
    columns = StatusEvent.message_id, StatusEvent.status, StatusEvent.received_at
    events = (
        select(*columns, StatusEvent.recorded_at, StatusEvent.source)
        .where(StatusEvent.received_at >= since)
        .order_by(StatusEvent.received_at.desc())
        .limit(_EVENTS_PER_CALLBACK * limit)
        .subquery()
    )
    latest = select(events).where(events.c.source == Source.CALLBACK).limit(limit).subquery()
    delivered = (Message.id == latest.c.message_id) & latest.c.status.in_(SUCCESSES)
    callback = latest.c.received_at, latest.c.recorded_at
    query = select(*callback, Message.created_at, Message.send_at, Message.resent_at)
    query = query.select_from(latest).outerjoin(Message, delivered)
    return [ReceivedCallback(*row) for row in db.session.execute(query)]


def in_doubt(limit: int) -> Sequence[Message]:
    """Return messages in doubt: first those that only a person can decide, then the oldest."""
    query = select(Message).where(Message.doubt_since.is_not(None))
    query = query.order_by(Message.doubt_since)
    undecided = db.session.scalars(query.where(Message.check_at.is_(None)).limit(limit)).all()
    if len(undecided) == limit:
        return undecided
    others = query.where(Message.check_at.is_not(None)).limit(limit - len(undecided))
    return [*undecided, *db.session.scalars(others)]
