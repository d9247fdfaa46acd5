"""Queries of readers: one message, its ledger, and pages of messages. A client sees its own."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from service.domain.status import Status
from service.errors import NotFound
from service.extensions import db
from service.models import Attempt, Message, StatusEvent
from service.store.dialect import among


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which messages to list; None means any."""

    status: Status | None = None
    provider: str | None = None
    to: Collection[str] | None = None  # any of these addresses
    reference: str | None = None
    provider_sid: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def message(client_id: int, message_id: UUID) -> Message:
    """Return a client's message. Raises NotFound, also for another client's."""
    query = select(Message).where(Message.id == message_id, Message.client_id == client_id)
    found = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise NotFound("there is no such message")
    return found


def page(client_id: int, wanted: Filter, before: UUID | None, limit: int) -> Sequence[Message]:
    """Return messages newest first, those older than `before` when it is given.

    Ids are ordered by creation (UUIDv7), so that a page boundary stays where it is under inserts.
    """
    query = select(Message).where(Message.client_id == client_id)
    for column in ("status", "provider", "reference", "provider_sid"):
        if (value := getattr(wanted, column)) is not None:
            query = query.where(getattr(Message, column) == value)
    if wanted.to is not None:
        query = query.where(among(Message.to, wanted.to))
    if wanted.created_after is not None:
        query = query.where(Message.created_at > wanted.created_after)
    if wanted.created_before is not None:
        query = query.where(Message.created_at < wanted.created_before)
    if before is not None:
        query = query.where(Message.id < before)
    return db.session.scalars(query.order_by(Message.id.desc()).limit(limit)).all()


def with_attempts(message_id: UUID) -> tuple[Message, Sequence[Attempt]]:
    """Return any client's message and its attempts, in order. Raises NotFound."""
    found = db.session.get(Message, message_id)
    if found is None:
        raise NotFound("there is no such message")
    query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.number)
    return found, db.session.scalars(query).all()


def events(message_id: UUID, limit: int) -> Sequence[StatusEvent]:
    """Return the ledger of a message in the order in which its reports arrived."""
    query = select(StatusEvent).where(StatusEvent.message_id == message_id)
    return db.session.scalars(
        query.order_by(StatusEvent.received_at, StatusEvent.id).limit(limit)
    ).all()
