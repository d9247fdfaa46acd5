"""Queries of reconciliation: what is to be asked of the provider next, and when."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update

from service.database import db
from service.domain.message_ids import first_id
from service.domain.status import FINAL, Status
from service.models import Attempt, Message
from service.providers.sandbox import SANDBOX

# Messages to one recipient without a SID: more than this many are no person's.
_MOST_TEXTS: Final = 1000

# Rows that one statement passes over, of a table of any size.
_PIECE: Final = 5_000


def take(now: datetime, again: datetime, limit: int, *, with_sid: bool) -> list[UUID]:
    """Return the messages that have waited longest for a check, and put off the next.

    Messages with a SID are fetched, messages without one are looked up. The second have a separate
    index: a million messages of the first kind do not delay one of the second.
    """
    ids = list(db.session.scalars(due(now, limit, with_sid=with_sid)))
    db.session.execute(update(Message).where(Message.id.in_(ids)).values(check_at=again))
    return ids


def due(now: datetime, limit: int, *, with_sid: bool) -> Select[Any]:
    """Return the query for messages whose check is due, past those that another worker takes."""
    sid = Message.provider_sid
    return (
        select(Message.id)
        .where(Message.check_at <= now, sid.is_not(None) if with_sid else sid.is_(None))
        .order_by(Message.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def unfinished(since: datetime, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return messages accepted since then that a provider has and that have no final status.

    In pieces: of a large table most messages are final, and are passed over.
    """
    last = after or UUID(int=max(0, first_id(since).int - 1))
    while True:
        piece = select(Message.id, Message.status).where(Message.id > last)
        ids = piece.order_by(Message.id).limit(_PIECE).subquery()
        open_messages = select(ids.c.id).where(ids.c.status.not_in([*FINAL, Status.PENDING]))
        message_ids = db.session.scalars(open_messages.order_by(ids.c.id).limit(limit)).all()
        if message_ids:
            return message_ids
        end = db.session.scalars(select(ids.c.id).order_by(ids.c.id.desc()).limit(1)).one_or_none()
        if end is None:
            return []
        last = end


def with_attempt(message_id: UUID) -> tuple[Message | None, Attempt | None]:
    """Return a message and the attempt it shows.

    While no report has come that is the latest with a SID, or the latest without.
    """
    with_sid = (
        select(func.max(Attempt.number))
        .where(Attempt.message_id == message_id, Attempt.provider_sid.is_not(None))
        .scalar_subquery()
    )
    shown = func.coalesce(Message.outcome_attempt, with_sid, Message.attempts)
    query = (
        select(Message, Attempt)
        .outerjoin(Attempt, and_(Attempt.message_id == Message.id, Attempt.number == shown))
        .where(Message.id == message_id)
        .execution_options(populate_existing=True)
    )
    row = db.session.execute(query).one_or_none()
    return (row[0], row[1]) if row else (None, None)


def rivals(message: Message, until: datetime) -> set[Status]:
    """Return where other messages are that a look-up could take for this one.

    They go to the same recipient, have no SID, and were handed over before `until`. The provider of
    test keys tells all messages apart.
    """
    if message.provider == SANDBOX:
        return set()
    query = _without_sid(message, Message.status).where(
        # In the words of the partial index.
        or_(Message.claimed_until.is_not(None), Message.doubt_since.is_not(None)),
        Message.status.in_([Status.IN_DOUBT, Status.SUBMITTING]),
        Message.submitted_at <= until,
        _confusable(message),
    )
    return set(db.session.scalars(query))


def texts_of_others(message: Message, until: datetime) -> set[str]:
    """Return texts of messages to the same recipient that have no SID, made before `until`."""
    query = _without_sid(message, Message.body).where(
        Message.body.is_not(None), Message.id < first_id(until)
    )
    return set(db.session.scalars(query.order_by(Message.id.desc()).limit(_MOST_TEXTS)))


def _without_sid(message: Message, column: Any) -> Select[Any]:
    return select(column).where(
        Message.provider == message.provider,
        Message.to == message.to,
        Message.provider_sid.is_(None),
        Message.id != message.id,
    )


def _confusable(message: Message) -> ColumnElement[bool]:
    """Return the condition for messages that may look like this one.

    The text of a template may be any. In doubt it is no rival of a text: no comparison decides it.
    """
    if message.content_sid is not None:
        return Message.status == Status.SUBMITTING
    in_flight = and_(Message.content_sid.is_not(None), Message.status == Status.SUBMITTING)
    same = Message.body.is_not_distinct_from(message.body)
    return or_(in_flight, and_(Message.content_sid.is_(None), same))


def put_off(message_id: UUID, check_at: datetime | None, lookups: int) -> None:
    """Set when to ask about a message next (None: not by ourselves), unless it became final."""
    db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.status.not_in(FINAL))
        .values(check_at=check_at, lookups=lookups)
    )


def release(message_id: UUID, attempt: int, now: datetime) -> None:
    """Make a message in doubt pending, unless it has a SID or was heard of meanwhile."""
    db.session.execute(
        update(Message)
        .where(
            Message.id == message_id,
            Message.status == Status.IN_DOUBT,
            Message.attempts == attempt,
            ~exists().where(Attempt.message_id == message_id, Attempt.provider_sid.is_not(None)),
        )
        .values(
            status=Status.PENDING,
            due_at=now,
            updated_at=now,
            submitted_at=None,
            check_at=None,
            lookups=0,
        )
    )


def stop(message_id: UUID, now: datetime) -> None:
    """Stop asking about a message: its outcome stays unknown, and it says so."""
    db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.status.not_in(FINAL))
        .values(check_at=None, unknown_since=now)
    )
