"""Search over the messages of all clients: by number, reference, SID or id."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from service.database import db
from service.models import Attempt, Client, Message

# The indexes begin with the client: a search asks for each. There are as many as there are internal
# services.
_MOST_CLIENTS: Final = 1000


def by_recipient(addresses: Collection[str], before: UUID | None, limit: int) -> Sequence[Message]:
    """Return messages to any of these addresses, newest first."""
    pages = [_page(Message.to, address, before, limit) for address in addresses]
    messages = (message for page in pages for message in page)
    return sorted(messages, key=lambda message: message.id.int, reverse=True)[:limit]


def by_reference(reference: str, before: UUID | None, limit: int) -> Sequence[Message]:
    """Return messages with this reference, newest first."""
    return _page(Message.reference, reference, before, limit)


def by_sid(sid: str, limit: int) -> Sequence[Message]:
    """Return messages of which any attempt has this SID."""
    owners = select(Attempt.message_id).where(Attempt.provider_sid == sid).limit(limit)
    shown = select(Message.id).where(Message.provider_sid == sid).limit(limit)
    ids = set(db.session.scalars(owners)) | set(db.session.scalars(shown))
    return _with(ids)


def by_id(either: UUID) -> Sequence[Message]:
    """Return the message with this id, or the one that has an attempt with it."""
    owner = db.session.scalar(select(Attempt.message_id).where(Attempt.id == either))
    return _with({owner or either})


def latest(before: UUID | None, limit: int) -> Sequence[Message]:
    """Return the newest messages."""
    query = select(Message).order_by(Message.id.desc()).limit(limit)
    return db.session.scalars(query if before is None else query.where(Message.id < before)).all()


def _page(
    column: InstrumentedAttribute[Any], value: str, before: UUID | None, limit: int
) -> Sequence[Message]:
    """Return the newest messages with this value: of each client that has some, then of all."""
    has = select(Message.id).where(Message.client_id == Client.id, column == value).exists()
    clients = db.session.scalars(select(Client.id).where(has).limit(_MOST_CLIENTS)).all()
    newest = select(Message.id).where(column == value).order_by(Message.id.desc()).limit(limit)
    if before is not None:
        newest = newest.where(Message.id < before)
    ids = set[UUID]()
    for client_id in clients:
        ids.update(db.session.scalars(newest.where(Message.client_id == client_id)))
    return _with(set(sorted(ids, key=lambda one: one.int)[-limit:]))


def _with(ids: set[UUID]) -> Sequence[Message]:
    query = select(Message).where(Message.id.in_(ids)).order_by(Message.id.desc())
    return db.session.scalars(query).all()
