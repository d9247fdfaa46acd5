"""Queries for one message, its attempts and its ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from service.database import db
from service.errors import NotFound
from service.models import Attempt, Message, StatusEvent


def message(client_id: int, message_id: UUID) -> Message:
    """Return a client's message. Raises NotFound, also for another client's."""
    query = select(Message).where(Message.id == message_id, Message.client_id == client_id)
    message = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if message is None:
        raise NotFound("there is no such message")
    return message


class Tries(NamedTuple):
    """Attempts without an effect that had the same answer: at most hundreds for a message."""

    provider: str
    account: str
    answer: str | None
    code: str | None
    number: int
    first: datetime
    last: datetime


def with_attempts(message_id: UUID) -> tuple[Message, Sequence[Attempt]]:
    """Return any client's message and its numbered attempts, in order. Raises NotFound."""
    message = db.session.get(Message, message_id)
    if message is None:
        raise NotFound("there is no such message")
    query = select(Attempt).where(Attempt.message_id == message_id, Attempt.number >= 0)
    return message, db.session.scalars(query.order_by(Attempt.number)).all()


def tries(message_id: UUID, limit: int) -> list[Tries]:
    """Return the attempts of a message without an effect, grouped by their answer."""
    group = (Attempt.provider, Attempt.account, Attempt.answer, Attempt.answer_code)
    first = func.min(Attempt.started_at)
    last = func.max(func.coalesce(Attempt.answered_at, Attempt.started_at))
    query = select(*group, func.count(), first, last)
    query = query.where(Attempt.message_id == message_id, Attempt.number < 0)
    rows = db.session.execute(query.group_by(*group).order_by(first).limit(limit))
    return [Tries(*row) for row in rows]


def events(message_id: UUID, limit: int) -> Sequence[StatusEvent]:
    """Return the ledger of a message, in the order in which reports arrived."""
    query = select(StatusEvent).where(StatusEvent.message_id == message_id)
    return db.session.scalars(
        query.order_by(StatusEvent.received_at, StatusEvent.id).limit(limit)
    ).all()
