"""The one statement that the two databases spell with the same words and different classes."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from service.extensions import db


def insert_into(table: Any) -> Any:
    """Return the INSERT of the database in use; both spell ON CONFLICT alike."""
    return (postgresql if db.engine.dialect.name == "postgresql" else sqlite).insert(table)
