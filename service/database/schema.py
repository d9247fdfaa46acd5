"""Bind the application to its migrations, and read the revision of a database.

Only commands import Alembic: it takes 11 MB and a seventh of the start. Servers compare revisions.
"""

import os
from typing import Final

from flask import Flask
from sqlalchemy import Column, Connection, inspect, text

from service.database import db

# The partitions of the ledger: the service creates and drops them, not the migrations.
PARTITIONS: Final = "status_event_"

# The last revision in migrations/versions; a test compares the two.
HEAD: Final = "0016"


def prepare_for_commands(app: Flask) -> None:
    """Bind `flask db` to the application if a `flask` command created it."""
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        prepare(app)


def prepare(app: Flask) -> None:
    """Bind the application to its migrations."""
    from flask_migrate import Migrate

    Migrate(app, db, render_as_batch=True)


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether Alembic compares this part of a database with the models.

    On SQLite Alembic mistakes an index in descending order for a changed one.
    """
    if kind == "table" and str(name).startswith(PARTITIONS):
        return False
    tables = db.metadata.tables.values()
    indexes = {str(index.name): index for table in tables for index in table.indexes}
    index = indexes.get(str(name))
    if kind != "index" or index is None or db.engine.dialect.name != "sqlite":
        return True
    return all(isinstance(expression, Column) for expression in index.expressions)


def revision(connection: Connection) -> str | None:
    """Return the revision of a database, None if it was never migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    number: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return number
