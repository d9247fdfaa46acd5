"""How Alembic meets the application: `flask --app service.app db upgrade` runs this."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from alembic.ddl.sqlite import SQLiteImpl
from flask import current_app
from sqlalchemy import Connection, Table

from service.database.schema import comparable
from service.models.types import UtcDateTime


class _SQLite(SQLiteImpl):
    """Makes a table anew without copying the columns that the database computes."""

    __dialect__ = "sqlite"

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        super().prep_table_for_batch(batch_impl, table)
        for column in table.columns:
            if column.computed is not None:
                batch_impl.column_transfers.pop(column.name, None)


_migrate = current_app.extensions["migrate"]
_db = _migrate.db


def _render(kind: str, thing: Any, _autogen: Any) -> str | Literal[False]:
    """Write our own column types as what they are in the database."""
    if kind == "type" and isinstance(thing, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _drop_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Write no migration when the models did not change."""
    if (
        getattr(context.config.cmd_opts, "autogenerate", False)
        and directives[0].upgrade_ops.is_empty()
    ):
        directives[:] = []


def _run(**options: Any) -> None:
    context.configure(
        target_metadata=_db.metadata, render_item=_render, include_name=comparable, **options
    )
    with context.begin_transaction():
        context.run_migrations()


@contextmanager
def _tables_may_be_made_anew(connection: Connection) -> Iterator[None]:
    """Let SQLite drop a table that others refer to, as altering one there does.

    Outside a transaction, where alone the pragma has an effect:
    https://alembic.sqlalchemy.org/en/latest/batch.html#dealing-with-referencing-foreign-keys
    """
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
    orphans = driver.execute("PRAGMA foreign_key_check").fetchall()
    assert not orphans, f"rows that refer to nothing: {orphans[:5]}"


if context.is_offline_mode():
    _run(url=_db.engine.url, literal_binds=True)
else:
    with _db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            from service.database.postgresql import without_limits as suited
        else:
            suited = _tables_may_be_made_anew
        with suited(connection):
            _run(
                connection=connection,
                process_revision_directives=_drop_empty,
                **{**_migrate.configure_args},
            )
