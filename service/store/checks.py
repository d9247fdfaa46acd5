"""Queries of reconciliation: what is to be asked of the provider next, and when."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, func, or_, select, update

from service.domain.message_ids import first_id
from service.domain.status import FINAL, Status
from service.extensions import db
from service.models import Attempt, Message
from service.providers.test import NAME as TEST

# Rows that one statement passes over, of a table of any size.
_PIECE: Final = 5_000


def take(now: datetime, again: datetime, limit: int) -> list[UUID]:
    """Return the messages that have waited longest for a check, and put off the next."""
    due = (
        select(Message.id)
        .where(Message.check_at <= now)
        .order_by(Message.check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(db.session.scalars(due))
    db.session.execute(update(Message).where(Message.id.in_(ids)).values(check_at=again))
    return ids


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
    """Return a message and the attempt it shows, or its latest while no report has come."""
    shown = func.coalesce(Message.outcome_attempt, Message.attempts)
    query = (
        select(Message, Attempt)
        .outerjoin(Attempt, and_(Attempt.message_id == Message.id, Attempt.number == shown))
        .where(Message.id == message_id)
        .execution_options(populate_existing=True)
    )
    row = db.session.execute(query).one_or_none()
    return (row[0], row[1]) if row else (None, None)


def rivals(message: Message) -> set[Status]:
    """Return where other messages with this text for this recipient are, of those without a SID.

    The provider could not tell them apart, and neither could a look-up. That of test keys can.
    """
    if message.provider == TEST:
        return set()
    query = select(Message.status).where(
        # In the words of the partial index.
        or_(Message.claimed_until.is_not(None), Message.doubt_since.is_not(None)),
        Message.to == message.to,
        Message.provider == message.provider,
        Message.provider_sid.is_(None),
        Message.status.in_([Status.IN_DOUBT, Status.SUBMITTING]),
        Message.id != message.id,
        Message.body == message.body,
    )
    return set(db.session.scalars(query))


def put_off(message_id: UUID, check_at: datetime | None, lookups: int) -> None:
    """Set when to ask about a message next (None: not by ourselves), unless it became final."""
    db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.status.not_in(FINAL))
        .values(check_at=check_at, lookups=lookups)
    )


def release(message_id: UUID, attempt: int, now: datetime) -> None:
    """Let a message in doubt go out again, unless anything was heard of it meanwhile."""
    db.session.execute(
        update(Message)
        .where(
            Message.id == message_id,
            Message.status == Status.IN_DOUBT,
            Message.attempts == attempt,
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
