"""Queries that find the message that a person answers."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select

from service.database import db
from service.domain.message_ids import first_id
from service.models import Attempt, Message
from service.queries.dialect import any_of

# Newest messages to one person that are compared with the sender.
_MOST_COMPARED: Final = 200


def of_attempt(attempt_id: UUID) -> Message | None:
    """Return the message of an attempt."""
    query = select(Message).join(Attempt, Attempt.message_id == Message.id)
    return db.session.scalars(query.where(Attempt.id == attempt_id)).one_or_none()


def of_sid(provider: str, sid: str) -> Message | None:
    """Return the message to which a provider gave this SID."""
    query = select(Message).join(Attempt, Attempt.message_id == Message.id)
    query = query.where(Attempt.provider_sid == sid, Attempt.provider == provider)
    return db.session.scalars(query.limit(1)).first()


def last_to(
    recipients: Collection[str],
    senders: Collection[str],
    since: datetime,
    client_id: int | None = None,
) -> Message | None:
    """Return the newest message to a person from one of these senders since a time."""
    query = select(Message).where(any_of(Message.to, recipients), Message.id >= first_id(since))
    if client_id is not None:
        query = query.where(Message.client_id == client_id)
    newest = query.order_by(Message.id.desc()).limit(_MOST_COMPARED).subquery()
    matching = (
        select(Message)
        .join(newest, newest.c.id == Message.id)
        .where(or_(any_of(Message.sender, senders), any_of(Message.messaging_service_sid, senders)))
        .order_by(Message.id.desc())
        .limit(1)
    )
    return db.session.scalars(matching).first()
