"""Queries on clients and their keys."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select, update

from service.database import db
from service.models import ApiKey, Client
from service.queries.dialect import insert_into
from service.queries.keys import digest_of


class KeyOwner(NamedTuple):
    """The client that owns a key, whether the key is for tests, and the client's account."""

    id: int
    test: bool
    account: str | None = None


_OWNER: Final = (
    select(Client.id, Client.test, Client.account)
    .join(ApiKey, ApiKey.client_id == Client.id)
    .where(ApiKey.digest == bindparam("digest"), ApiKey.revoked_at.is_(None))
)


def owner_of(key: str) -> KeyOwner | None:
    """Return the client that owns a valid key."""
    # Every request runs this query: AUTOCOMMIT makes it one round trip, without a transaction.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        row = connection.execute(_OWNER, {"digest": digest_of(key)}).one_or_none()
    return KeyOwner(*row) if row else None


def ensure(name: str, now: datetime, *, test: bool = False) -> int:
    """Return the id of the client of this name; create the client if it does not exist."""
    unique = [Client.name, Client.test]
    statement = insert_into(Client).on_conflict_do_nothing(index_elements=unique)
    db.session.execute(statement, {"name": name, "test": test, "created_at": now})
    query = select(Client.id).where(Client.name == name, Client.test.is_(test))
    return db.session.scalars(query).one()


def find(name: str, *, test: bool = False) -> Client | None:
    """Return the client of this name."""
    query = select(Client).where(Client.name == name, Client.test.is_(test))
    return db.session.scalars(query).one_or_none()


def set_account(client_id: int, account: str | None) -> None:
    """Set the account of a client's messages that name none; None: as configured."""
    db.session.execute(update(Client).where(Client.id == client_id).values(account=account))


def names(ids: Collection[int]) -> dict[int, str]:
    """Return the names of clients by id."""
    rows = db.session.execute(select(Client.id, Client.name).where(Client.id.in_(ids)))
    return {row.id: row.name for row in rows}


def all_names() -> dict[int, str]:
    """Return the names of all clients by id: internal services, so there are few."""
    return {row.id: row.name for row in db.session.execute(select(Client.id, Client.name))}


def name_of(client_id: int) -> str:
    """Return the name of a client."""
    return db.session.scalars(select(Client.name).where(Client.id == client_id)).one()


def list_keys() -> list[tuple[ApiKey, Client]]:
    """Return every key with its client, by client and age."""
    query = select(ApiKey, Client).join(Client, Client.id == ApiKey.client_id)
    ordered = query.order_by(Client.name, Client.test, ApiKey.id)
    return [(key, client) for key, client in db.session.execute(ordered)]
