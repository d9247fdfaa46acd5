"""Search over the messages of all clients: by number, reference, SID or id."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, select

from service.extensions import db
from service.models import Attempt, Client, Message
from service.store.dialect import among

# The indexes begin with the client, so that a search names them all; there are as many as there
# are internal services.
_MOST_CLIENTS = 1000


def by_recipient(addresses: Collection[str], before: UUID | None, limit: int) -> Sequence[Message]:
    """Return messages to any of these addresses, newest first."""
    return _page(among(Message.to, addresses), before, limit)


def by_reference(reference: str, before: UUID | None, limit: int) -> Sequence[Message]:
    """Return messages with this reference, newest first."""
    return _page(Message.reference == reference, before, limit)


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


def _page(condition: ColumnElement[bool], before: UUID | None, limit: int) -> Sequence[Message]:
    clients = db.session.scalars(select(Client.id).limit(_MOST_CLIENTS)).all()
    query = select(Message).where(Message.client_id.in_(clients), condition)
    if before is not None:
        query = query.where(Message.id < before)
    return db.session.scalars(query.order_by(Message.id.desc()).limit(limit)).all()


def _with(ids: set[UUID]) -> Sequence[Message]:
    query = select(Message).where(Message.id.in_(ids)).order_by(Message.id.desc())
    return db.session.scalars(query).all()
