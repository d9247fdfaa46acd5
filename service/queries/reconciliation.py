"""Queries of reconciliation: which messages to look up or poll, and when."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, update

from service.database import db
from service.domain.message_ids import first_id
from service.domain.status import FINAL, UNREPORTED, Status
from service.models import Attempt, Message
from service.providers.sandbox import SANDBOX

# Texts to compare; a recipient with more messages without a SID is not a person.
_MAX_TEXTS: Final = 1000
# Rows that one statement reads of a large table.
_PIECE: Final = 5_000


def claim_checks(now: datetime, until: datetime, limit: int, *, with_sid: bool) -> list[UUID]:
    """Return the messages that have waited longest for a check, and postpone their next check.

    Messages with a SID are polled, messages without a SID are looked up. Each kind has its index: a
    million overdue polls do not delay a look-up.
    """
    ids = list(db.session.scalars(due(now, limit, with_sid=with_sid)))
    columns = {"check_at": until, "version": Message.version}  # clients see no change
    db.session.execute(update(Message).where(Message.id.in_(ids)).values(columns))
    return ids


def due(now: datetime, limit: int, *, with_sid: bool) -> Select[Any]:
    """Return the query for messages whose check is due, without locked ones."""
    sid = Message.provider_sid
    return (
        select(Message.id)
        .where(Message.check_at <= now, sid.is_not(None) if with_sid else sid.is_(None))
        .order_by(Message.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


def unfinished(since: datetime, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return messages accepted since this time that a provider has and that are not final.

    Reads the table in pieces, because most messages of a large table are final.
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
    """Return a message and the attempt that its outcome shows.

    Before the first report since it was accepted or sent again, that is the latest attempt with a
    SID, or else the latest attempt; none, if none was made since.
    """
    with_sid = (
        select(func.max(Attempt.number))
        .where(
            Attempt.message_id == message_id,
            Attempt.provider_sid.is_not(None),
            Attempt.number > func.coalesce(Message.outcome_attempt, 0),
        )
        .correlate(Message)
        .scalar_subquery()
    )
    shown = case(
        (Message.status.in_(UNREPORTED), func.coalesce(with_sid, Message.attempts)),
        else_=Message.outcome_attempt,
    )
    query = (
        select(Message, Attempt)
        .outerjoin(Attempt, and_(Attempt.message_id == Message.id, Attempt.number == shown))
        .where(Message.id == message_id)
        .execution_options(populate_existing=True)
    )
    row = db.session.execute(query).one_or_none()
    return (row[0], row[1]) if row else (None, None)


def confusable_statuses(message: Message, until: datetime) -> set[Status]:
    """Return the statuses of other messages that a look-up could confuse with this one.

    They have the same recipient and no SID, and were submitted by `until`. The sandbox tells all
    messages apart.
    """
    if message.provider == SANDBOX:
        return set()
    query = _without_sid(message, Message.status).where(
        # The status implies this. With it PostgreSQL can also use the indexes of claims and doubts
        # where a recipient has very many messages without a SID.
        or_(Message.claimed_until.is_not(None), Message.doubt_since.is_not(None)),
        Message.status.in_([Status.IN_DOUBT, Status.SUBMITTING]),
        Message.submitted_at <= until,
        _is_confusable(message),
    )
    return set(db.session.scalars(query))


def texts_of_others(message: Message, until: datetime) -> set[str]:
    """Return texts of messages to the same recipient without a SID, created before `until`."""
    query = _without_sid(message, Message.body).where(
        Message.body.is_not(None), Message.id < first_id(until)
    )
    return set(db.session.scalars(query.order_by(Message.id.desc()).limit(_MAX_TEXTS)))


def _without_sid(message: Message, column: Any) -> Select[Any]:
    return select(column).where(
        Message.provider == message.provider,
        Message.to == message.to,
        Message.provider_sid.is_(None),
        Message.id != message.id,
    )


def _is_confusable(message: Message) -> ColumnElement[bool]:
    """Return the condition for messages that may have the same text as this one.

    The text of a template is not known, so that it may equal any text while it is being sent. A
    template in doubt does not prevent the look-up of a text: templates are not compared by text.
    """
    if message.content_sid is not None:
        return Message.status == Status.SUBMITTING
    in_flight = and_(Message.content_sid.is_not(None), Message.status == Status.SUBMITTING)
    same = Message.body.is_not_distinct_from(message.body)
    return or_(in_flight, and_(Message.content_sid.is_(None), same))


def schedule_check(message_id: UUID, check_at: datetime | None, lookups: int) -> None:
    """Set the time of the next check of a message (None: no more checks), unless it is final."""
    db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.status.not_in(FINAL))
        .values(check_at=check_at, lookups=lookups, version=Message.version)
    )


def make_pending(message_id: UUID, attempt: int, now: datetime) -> bool:
    """Make a message in doubt pending, unless its attempt has a SID or a report arrived meanwhile.

    A SID of an attempt before the message was sent again does not count. Returns whether it is
    pending now.
    """
    statement = (
        update(Message)
        .where(
            Message.id == message_id,
            Message.status == Status.IN_DOUBT,
            Message.attempts == attempt,
            ~exists().where(
                Attempt.message_id == message_id,
                Attempt.provider_sid.is_not(None),
                Attempt.number > func.coalesce(Message.outcome_attempt, 0),
            ),
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
    return bool(db.session.execute(statement).rowcount)  # type: ignore[attr-defined]


def stop_polling(message_id: UUID, now: datetime) -> bool:
    """Stop polling a message: its outcome stays unknown. Returns False if it is final."""
    statement = (
        update(Message)
        .where(Message.id == message_id, Message.status.not_in(FINAL))
        .values(check_at=None, unknown_since=now)
    )
    return bool(db.session.execute(statement).rowcount)  # type: ignore[attr-defined]
