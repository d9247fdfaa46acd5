"""Queries for one message, its attempts and its ledger."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

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


def with_attempts(message_id: UUID) -> tuple[Message, Sequence[Attempt]]:
    """Return any client's message and its attempts, in order. Raises NotFound."""
    message = db.session.get(Message, message_id)
    if message is None:
        raise NotFound("there is no such message")
    query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.number)
    return message, db.session.scalars(query).all()


def events(message_id: UUID, limit: int) -> Sequence[StatusEvent]:
    """Return the ledger of a message, in the order in which reports arrived."""
    query = select(StatusEvent).where(StatusEvent.message_id == message_id)
    return db.session.scalars(
        query.order_by(StatusEvent.received_at, StatusEvent.id).limit(limit)
    ).all()
