"""Queries on clients and their keys."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select, update

from service.database import db
from service.models import ApiKey, Client
from service.queries.dialect import insert_into


class Owner(NamedTuple):
    """Whose a key is, and whether its messages are tests."""

    id: int
    test: bool


_OWNER: Final = (
    select(Client.id, Client.test)
    .join(ApiKey, ApiKey.client_id == Client.id)
    .where(ApiKey.digest == bindparam("given"), ApiKey.revoked_at.is_(None))
)


def owner_of(digest: bytes) -> Owner | None:
    """Return the client to whom the live key with this digest belongs."""
    # At every request: one round trip, and no transaction round it.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        row = connection.execute(_OWNER, {"given": digest}).one_or_none()
    return Owner(*row) if row else None


def named(name: str, *, test: bool) -> Client | None:
    """Return the client of this name: the one that sends, or its twin for tests."""
    query = select(Client).where(Client.name == name, Client.test.is_(test))
    return db.session.scalars(query).one_or_none()


def every_key() -> list[tuple[ApiKey, Client]]:
    """Return every key with its client, by client and age."""
    query = select(ApiKey, Client).join(Client, Client.id == ApiKey.client_id)
    ordered = query.order_by(Client.name, Client.test, ApiKey.id)
    return [(key, client) for key, client in db.session.execute(ordered)]


def revoke(key_id: int, now: datetime) -> bool:
    """Revoke a live key; tell whether there was one."""
    live = ApiKey.id == key_id, ApiKey.revoked_at.is_(None)
    statement = update(ApiKey).where(*live).values(revoked_at=now).returning(ApiKey.id)
    return db.session.scalars(statement).one_or_none() is not None


def ensure(name: str, now: datetime) -> int:
    """Return the id of the client of this name that sends, which is made if it is new."""
    key = [Client.name, Client.test]
    statement = insert_into(Client).on_conflict_do_nothing(index_elements=key)
    db.session.execute(statement, {"name": name, "test": False, "created_at": now})
    found = named(name, test=False)
    assert found is not None
    return found.id


def name_of(client_id: int) -> str:
    """Return the name of a client."""
    return db.session.scalars(select(Client.name).where(Client.id == client_id)).one()
