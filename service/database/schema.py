"""Migrations, for whoever runs them: Alembic takes 11 MB and a seventh of the start.

Servers only compare a number with the one in the database.
"""

import os
from typing import Final

from flask import Flask
from sqlalchemy import Column, Connection, inspect, text

from service.database import db, is_postgresql

# The last of migrations/versions; a test holds it to them.
WANTED: Final = "0011"


def prepare_for_commands(app: Flask) -> None:
    """Bind `flask db` to the application where a `flask` command made it."""
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        prepare(app)


def prepare(app: Flask) -> None:
    """Bind the application to its migrations."""
    from flask_migrate import Migrate

    Migrate(app, db, render_as_batch=True)


def comparable(name: str | None, kind: str, _parents: object) -> bool:
    """Tell Alembic what of a database to compare with the models.

    On SQLite it takes an index in descending order for another than that of the models.
    """
    tables = db.metadata.tables.values()
    described = {str(index.name): index for table in tables for index in table.indexes}
    index = described.get(str(name))
    if kind != "index" or is_postgresql() or index is None:
        return True
    return all(isinstance(one, Column) for one in index.expressions)


def found(connection: Connection) -> str | None:
    """Return which migration a database has seen last, None for none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    number: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return number
