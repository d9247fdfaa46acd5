"""Ids that the database makes: UUIDv7, whose first digits tell the time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Text, Uuid, cast, func, type_coerce

from service.queries.dialect import is_postgresql


def random_id(prefix: ColumnElement[str]) -> ColumnElement[UUID]:
    """Return a UUIDv7: its first 13 digits, of `time_prefix`, and random ones.

    PostgreSQL has a function for it since version 18, SQLite has none.
    """
    if is_postgresql():
        random = func.right(func.replace(cast(func.gen_random_uuid(), Text), "-", ""), 19)
        return cast(prefix.concat(random), Uuid)
    parts = (func.substr(func.hex(func.randomblob(size)), 2) for size in (2, 8))
    digits = next(parts).concat("8").concat(next(parts))
    return type_coerce(prefix.concat(func.lower(digits)), Uuid())


def time_prefix(time: datetime) -> str:
    """Return the digits of a UUIDv7 that tell its time and its version."""
    return f"{int(time.timestamp() * 1000):012x}7"
