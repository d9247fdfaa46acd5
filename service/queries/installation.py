"""Queries on what belongs to the installation as a whole."""

from datetime import datetime

from sqlalchemy import select

from service.database import db
from service.models import InstallationKey
from service.queries.dialect import insert_into


def find_key(name: str) -> bytes | None:
    """Return the key of this name."""
    return db.session.scalar(select(InstallationKey.value).where(InstallationKey.name == name))


def add_key(name: str, value: bytes, now: datetime) -> None:
    """Keep a key under a name, unless there is one."""
    row = {"name": name, "value": value, "created_at": now}
    db.session.execute(insert_into(InstallationKey).values(row).on_conflict_do_nothing())
