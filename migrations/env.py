"""How Alembic meets the application: `flask --app service.app db upgrade` runs this."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from alembic.ddl.sqlite import SQLiteImpl
from flask import current_app
from sqlalchemy import Connection, Table

from service.database.schema import include_name
from service.models.types import UtcDateTime


class _SQLite(SQLiteImpl):
    """Recreates a table without copying its computed columns."""

    __dialect__ = "sqlite"

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        super().prep_table_for_batch(batch_impl, table)
        for column in table.columns:
            if column.computed is not None:
                batch_impl.column_transfers.pop(column.name, None)


_migrate = current_app.extensions["migrate"]
_db = _migrate.db


def _render(kind: str, thing: Any, _autogen: Any) -> str | Literal[False]:
    """Render our column types as the types that the database has."""
    if kind == "type" and isinstance(thing, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _drop_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Write no migration if the models did not change."""
    if (
        getattr(context.config.cmd_opts, "autogenerate", False)
        and directives[0].upgrade_ops.is_empty()
    ):
        directives[:] = []


def _run(**options: Any) -> None:
    context.configure(
        target_metadata=_db.metadata, render_item=_render, include_name=include_name, **options
    )
    with context.begin_transaction():
        context.run_migrations()


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Turn foreign keys off on SQLite, where ALTER TABLE drops and recreates the table.

    The pragma has an effect only outside a transaction:
    https://alembic.sqlalchemy.org/en/latest/batch.html#dealing-with-referencing-foreign-keys
    """
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
    broken = driver.execute("PRAGMA foreign_key_check").fetchall()
    assert not broken, f"rows with a broken foreign key: {broken[:5]}"


if context.is_offline_mode():
    _run(url=_db.engine.url, literal_binds=True)
else:
    with _db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            from service.database.postgresql import without_timeouts as prepared
        else:
            prepared = _without_foreign_keys
        with prepared(connection):
            _run(
                connection=connection,
                process_revision_directives=_drop_empty,
                **{**_migrate.configure_args},
            )
