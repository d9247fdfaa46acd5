"""How Alembic meets the application: `flask --app wsgi db upgrade` runs this."""

from typing import Any, Literal

from alembic import context
from flask import current_app

from service.models.types import UtcDateTime

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
    context.configure(target_metadata=_db.metadata, render_item=_render, **options)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _run(url=_db.engine.url, literal_binds=True)
else:
    with _db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # The limit of the service is not for an index on a large table.
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.commit()
        _run(
            connection=connection,
            process_revision_directives=_drop_empty,
            **{**_migrate.configure_args},
        )
