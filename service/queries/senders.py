"""Queries on the senders of clients."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Row, delete, func, or_, select, update
from sqlalchemy.orm import aliased

from service.database import db
from service.models import Client, ClientSender, Message
from service.queries.dialect import any_of, insert_into, one_each

# An opt-out and a rate know a sender by its Messaging Service, too (providers/base.py: Sender.key).
_KEY: Final = func.coalesce(Message.messaging_service_sid, Message.sender)


def owners(senders: Collection[str]) -> dict[str, int]:
    """Return the clients that own these senders, by sender."""
    query = select(ClientSender.sender, ClientSender.client_id)
    rows = db.session.execute(query.where(any_of(ClientSender.sender, senders)))
    return {row.sender: row.client_id for row in rows}


def of_client(client_id: int) -> dict[str, str | None]:
    """Return the pool of each sender that a client may use, by sender; None: in no pool.

    The client of test keys may also use those of its counterpart: nothing is sent from them.
    """
    asking, owner = aliased(Client), aliased(Client)
    query = (
        select(ClientSender.sender, ClientSender.pool)
        .join(owner, owner.id == ClientSender.client_id)
        .join(asking, asking.name == owner.name)
        .where(asking.id == client_id, or_(owner.id == asking.id, owner.test.is_(False)))
    )
    return {row.sender: row.pool for row in db.session.execute(query.order_by(ClientSender.sender))}


def listed(
    *, name: str | None = None, sender: str | None = None
) -> Sequence[Row[ClientSender, Client]]:
    """Return senders with their clients, by client, pool and sender: all, or of one name."""
    query = select(ClientSender, Client).join(Client, Client.id == ClientSender.client_id)
    if name is not None:
        query = query.where(Client.name == name)
    if sender is not None:
        query = query.where(ClientSender.sender == sender)
    order = (Client.name, Client.test, func.coalesce(ClientSender.pool, ""), ClientSender.sender)
    return db.session.execute(query.order_by(*order)).all()


def add(sender: str, client_id: int, pool: str | None, now: datetime) -> bool:
    """Give a sender to a client, in this pool or in none; return False if another owns it."""
    statement = insert_into(ClientSender).on_conflict_do_nothing(
        index_elements=[ClientSender.sender]
    )
    row = {"sender": sender, "client_id": client_id, "pool": pool, "created_at": now}
    db.session.execute(statement, row)
    owned = update(ClientSender).where(*_is(sender, client_id)).values(pool=pool)
    return bool(db.session.execute(owned).rowcount)  # type: ignore[attr-defined]


def remove(sender: str, client_id: int) -> bool:
    """Take a sender from a client; return False if the client does not own it."""
    statement = delete(ClientSender).where(*_is(sender, client_id))
    return bool(db.session.execute(statement).rowcount)  # type: ignore[attr-defined]


def _is(sender: str, client_id: int) -> list[ColumnElement[bool]]:
    return [ClientSender.sender == sender, ClientSender.client_id == client_id]


def last_used(client_id: int, recipients: Collection[str]) -> dict[str, str]:
    """Return the sender of a client's last message to each of these recipients, by recipient.

    Each recipient costs one descent of the index of a client's messages to a recipient.
    """
    if not recipients:
        return {}
    to = one_each(recipients)
    # BETWEEN and NULLS LAST: as in message_lists.py, else another index may be read.
    newest = (
        select(_KEY)
        .where(Message.client_id == client_id, Message.to.between(to, to))
        .order_by(Message.to, Message.id.desc().nulls_last())
        .limit(1)
        .scalar_subquery()
    )
    rows = db.session.execute(select(to, newest)).all()
    return {recipient: sender for recipient, sender in rows if sender is not None}
