"""Queries on keys that all processes of an installation share."""

from datetime import datetime

from sqlalchemy import Select, delete, select

from service.database import db
from service.models import InstallationKey
from service.queries.dialect import insert_into


def find_key(name: str) -> bytes | None:
    """Return the key of this name, if it exists."""
    return db.session.scalar(key_of(name))


def key_of(name: str) -> Select[bytes]:
    """Return the query for the key of this name."""
    return select(InstallationKey.value).where(InstallationKey.name == name)


def delete_key(name: str) -> None:
    """Delete the key of this name, if it exists."""
    db.session.execute(delete(InstallationKey).where(InstallationKey.name == name))


def add_key(name: str, value: bytes, now: datetime) -> None:
    """Store a key, unless one of this name exists."""
    row = {"name": name, "value": value, "created_at": now}
    db.session.execute(insert_into(InstallationKey).values(row).on_conflict_do_nothing())
