"""Migrations, for whoever runs them: Alembic takes 11 MB and a seventh of the start.

Servers only compare a number with the one in the database.
"""

import os
from typing import Final

from flask import Flask
from sqlalchemy import Connection, inspect, text

from service.extensions import db

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


def found(connection: Connection) -> str | None:
    """Return which migration a database has seen last, None for none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    number: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return number
