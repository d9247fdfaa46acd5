"""Clients whose changes are written as events: those that have asked for them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from service.database import db
from service.models import Client, InboundMessage, Message
from service.queries.dialect import any_of, is_postgresql


def any_told(client_ids: Collection[int]) -> bool:
    """Return whether one of these clients has asked for events."""
    query = select(Client.id).where(any_of(Client.id, client_ids), Client.events_since.is_not(None))
    return db.session.scalar(query.limit(1)) is not None


def state(client_id: int) -> Any:
    """Return `events_since` and `events_complete` of a client."""
    query = select(Client.events_since, Client.events_complete).where(Client.id == client_id)
    return db.session.execute(query).one()


def begin(client_id: int, now: datetime) -> None:
    """Write events of a client from now on."""
    unset = (Client.id == client_id, Client.events_since.is_(None))
    db.session.execute(update(Client).where(*unset).values(events_since=now))


def complete(client_id: int) -> bool:
    """Note that earlier messages have events, too; return whether they had none before."""
    open_ = (Client.id == client_id, Client.events_complete.is_(False))
    statement = update(Client).where(*open_).values(events_complete=True).returning(Client.id)
    return db.session.scalar(statement) is not None


def messages_since(client_id: int, first: UUID, limit: int) -> list[UUID]:
    """Return the newest messages of a client that are not older than an id, the oldest first."""
    return _newest(Message, client_id, first, limit)


def inbound_since(client_id: int, first: UUID, limit: int) -> list[UUID]:
    """Return the newest inbound messages of a client, as `messages_since` does."""
    return _newest(InboundMessage, client_id, first, limit)


def _newest(table: Any, client_id: int, first: UUID, limit: int) -> list[UUID]:
    query = (
        select(table.id)
        .where(table.client_id == client_id, table.id >= first)
        .order_by(table.id.desc().nulls_last() if is_postgresql() else table.id.desc())
        .limit(limit)
    )
    return list(db.session.scalars(query))[::-1]
