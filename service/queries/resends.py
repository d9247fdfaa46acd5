"""Queries about messages to send again."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Row, Table, select

from service.database import db
from service.domain.status import ON_AIR, Status
from service.models import Client, Message, StatusEvent
from service.queries.dialect import any_of, update_each

# Clients are internal services: no installation has more.
_MAX_CLIENTS: Final = 1000


def with_accounts(ids: Collection[UUID]) -> Sequence[Row[Message, str | None]]:
    """Return these messages as they are now, each with the account of its client."""
    query = select(Message, Client.account).join(Client, Client.id == Message.client_id)
    query = query.where(any_of(Message.id, ids)).order_by(Message.id)
    return db.session.execute(query.execution_options(populate_existing=True)).all()


def on_air(ids: Collection[UUID]) -> set[UUID]:
    """Return those of these messages of which any report says that they were transmitted."""
    reported = select(StatusEvent.message_id).where(any_of(StatusEvent.message_id, ids))
    return set(db.session.scalars(reported.where(StatusEvent.status.in_(ON_AIR)).distinct()))


def start_over(rows: Sequence[Mapping[str, Any]]) -> None:
    """Update messages that this transaction has locked; `key` is the id of the message."""
    update_each(cast(Table, Message.__table__), rows)


def client_ids(name: str | None) -> Sequence[int]:
    """Return the clients of this name; for None all, without those that use test keys."""
    condition = Client.test.is_(False) if name is None else Client.name == name
    return db.session.scalars(
        select(Client.id).where(condition).order_by(Client.id).limit(_MAX_CLIENTS)
    ).all()


def page(
    client_id: int, status: Status, after: UUID, before: UUID, limit: int
) -> Sequence[Row[UUID, str | None]]:
    """Return id and error code of a client's messages of a final status, oldest first."""
    # The exact reverse of the index, and BETWEEN: see bounded_pages.py.
    query = select(Message.id, Message.error_code).where(
        Message.client_id == client_id,
        Message.listed_as.between(status.value, status.value),
        Message.id > after,
        Message.id < before,
    )
    backward = Message.listed_as.desc().nulls_first(), Message.id.asc().nulls_first()
    return db.session.execute(query.order_by(*backward).limit(limit)).all()
