"""Queries on clients and their keys."""

from datetime import datetime

from sqlalchemy import select, update

from service.extensions import db
from service.models import ApiKey, Client
from service.store.dialect import insert_into


def owner_of(digest: bytes) -> int | None:
    """Return the id of the client to whom the live key with this digest belongs."""
    query = select(ApiKey.client_id).where(ApiKey.digest == digest, ApiKey.revoked_at.is_(None))
    return db.session.scalars(query).one_or_none()


def named(name: str) -> Client | None:
    """Return the client of this name."""
    return db.session.scalars(select(Client).where(Client.name == name)).one_or_none()


def every_key() -> list[tuple[ApiKey, str]]:
    """Return every key with the name of its client, by client and age."""
    query = select(ApiKey, Client.name).join(Client, Client.id == ApiKey.client_id)
    return [(key, name) for key, name in db.session.execute(query.order_by(Client.name, ApiKey.id))]


def revoke(key_id: int, now: datetime) -> bool:
    """Revoke a live key; tell whether there was one."""
    live = ApiKey.id == key_id, ApiKey.revoked_at.is_(None)
    statement = update(ApiKey).where(*live).values(revoked_at=now).returning(ApiKey.id)
    return db.session.scalars(statement).one_or_none() is not None


def ensure(name: str, now: datetime) -> int:
    """Return the id of the client of this name, which is made if it is new."""
    statement = insert_into(Client).on_conflict_do_nothing(index_elements=[Client.name])
    db.session.execute(statement, {"name": name, "created_at": now})
    return db.session.scalars(select(Client.id).where(Client.name == name)).one()


def name_of(client_id: int) -> str:
    """Return the name of a client."""
    return db.session.scalars(select(Client.name).where(Client.id == client_id)).one()
