"""Search over the messages of all clients: by number, reference, SID or id."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from service.database import db
from service.models import Attempt, Client, Message

# The indexes begin with the client, so a search runs one query for each client. Clients are
# internal services: no installation has more.
_MAX_CLIENTS: Final = 1000


def by_recipient(addresses: Collection[str], before: UUID | None, limit: int) -> Sequence[Message]:
    """Return messages to any of these addresses, newest first."""
    pages = [_page(Message.to, address, before, limit) for address in addresses]
    messages = (message for page in pages for message in page)
    return sorted(messages, key=lambda message: message.id.int, reverse=True)[:limit]


def by_reference(reference: str, before: UUID | None, limit: int) -> Sequence[Message]:
    """Return messages with this reference, newest first."""
    return _page(Message.reference, reference, before, limit)


def by_sid(sid: str, limit: int) -> Sequence[Message]:
    """Return messages with an attempt that has this SID."""
    of_attempts = select(Attempt.message_id).where(Attempt.provider_sid == sid).limit(limit)
    current = select(Message.id).where(Message.provider_sid == sid).limit(limit)
    ids = set(db.session.scalars(of_attempts)) | set(db.session.scalars(current))
    return _load(ids)


def by_id(uuid: UUID) -> Sequence[Message]:
    """Return the message with this id, or with an attempt that has it."""
    message_id = db.session.scalar(select(Attempt.message_id).where(Attempt.id == uuid))
    return _load({message_id or uuid})


def latest(before: UUID | None, limit: int) -> Sequence[Message]:
    """Return the newest messages."""
    query = select(Message).order_by(Message.id.desc()).limit(limit)
    return db.session.scalars(query if before is None else query.where(Message.id < before)).all()


def _page(
    column: InstrumentedAttribute[Any], value: str, before: UUID | None, limit: int
) -> Sequence[Message]:
    """Return the newest messages with a value in a column, of all clients."""
    used = select(Message.id).where(Message.client_id == Client.id, column == value).exists()
    clients = db.session.scalars(select(Client.id).where(used).limit(_MAX_CLIENTS)).all()
    newest = select(Message.id).where(column == value).order_by(Message.id.desc()).limit(limit)
    if before is not None:
        newest = newest.where(Message.id < before)
    ids = set[UUID]()
    for client_id in clients:
        ids.update(db.session.scalars(newest.where(Message.client_id == client_id)))
    return _load(set(sorted(ids, key=lambda uuid: uuid.int)[-limit:]))


def _load(ids: set[UUID]) -> Sequence[Message]:
    query = select(Message).where(Message.id.in_(ids)).order_by(Message.id.desc())
    return db.session.scalars(query).all()
