"""Queries of messages that wait for holds, and of those that holds are about."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, literal, select, union_all, update

from service.database import db
from service.domain.status import SUCCESSES, Status
from service.models import Attempt, Message
from service.queries.dialect import any_of
from service.queries.messages import leave_without_attempt

# A message without delivery reports stays sent. A failure would have been reported by then.
_ARRIVED_AFTER: Final = timedelta(seconds=60)


class Sending(NamedTuple):
    """An attempt, and what holds can be about, of its message."""

    attempt_id: UUID
    message_id: UUID
    provider: str
    account: str
    started_at: datetime
    sender: str | None
    messaging_service_sid: str | None
    to: str
    is_current: bool  # no other provider took the message over since


def sendings(attempt_ids: Collection[UUID]) -> list[Sending]:
    """Return attempts with the senders and recipients of their messages."""
    query = select(
        Attempt.id,
        Message.id,
        Attempt.provider,
        Attempt.account,
        Attempt.started_at,
        Message.sender,
        Message.messaging_service_sid,
        Message.to,
        (Attempt.provider == Message.provider) & (Attempt.account == Message.account),
    ).join(Message, Message.id == Attempt.message_id)
    rows = db.session.execute(query.where(any_of(Attempt.id, attempt_ids)))
    return [Sending(*row) for row in rows]


def waiting(ids: Collection[int], limit: int) -> dict[int, int]:
    """Return how many messages wait for each hold, at most `limit`."""
    if not ids:
        return {}
    counts = [
        select(literal(hold_id), func.count()).select_from(
            select(Message.id).where(Message.hold_id == hold_id).limit(limit).subquery()
        )
        for hold_id in ids
    ]
    return {row[0]: row[1] for row in db.session.execute(union_all(*counts))}


def count_held(limit: int) -> int:
    """Return how many messages wait for holds, at most `limit`."""
    held = select(Message.id).where(Message.hold_id.is_not(None)).limit(limit).subquery()
    return db.session.scalar(select(func.count()).select_from(held)) or 0


def arrived(message_id: UUID, now: datetime) -> bool:
    """Tell whether a message reached its recipient, or probably did."""
    query = select(Message.status, Message.updated_at).where(Message.id == message_id)
    row = db.session.execute(query).one_or_none()
    if row is None:
        return False
    sent_before = row.updated_at <= now - _ARRIVED_AFTER
    return row.status in SUCCESSES or (row.status is Status.SENT and sent_before)


def park(message_ids: Collection[UUID], hold_id: int) -> None:
    """Park claimed messages on a hold: each until its deadline, without an attempt."""
    columns = {"status": Status.PENDING, "hold_id": hold_id, "due_at": Message.expires_at}
    leave_without_attempt(message_ids, **columns)


def put_back(message_ids: Collection[UUID], now: datetime) -> None:
    """Make claimed messages due again, without an attempt."""
    leave_without_attempt(message_ids, status=Status.PENDING, due_at=now)


def make_due(hold_id: int, limit: int, now: datetime) -> int:
    """Make messages that wait for a hold due, the ones tried least first; return how many."""
    waiting = (
        select(Message.id)
        .where(Message.hold_id == hold_id, Message.status == Status.PENDING)
        .order_by(Message.tries, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = db.session.scalars(waiting).all()
    statement = update(Message).where(any_of(Message.id, ids)).values(hold_id=None, due_at=now)
    db.session.execute(statement.execution_options(synchronize_session=False))
    return len(ids)
