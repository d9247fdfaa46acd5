"""The two engines of the database: one for all work, and a small one for the overflow.

A callback that Redis cannot take must not wait for connections that requests of the API hold, and
is answered within seconds whatever the database does. Probes use the small one, too: it tells
whether a callback could be stored.
"""

from typing import Any, Final

from flask import Flask
from sqlalchemy import event

from service.config.settings import Settings
from service.database import OVERFLOW, db, speak_sqlite_properly

# Seconds that a callback waits for one of the connections, and for the lock of SQLite.
_WAIT: Final = 1
_POOL: Final = {"pool_size": 2, "max_overflow": 0, "pool_timeout": _WAIT}


def configure(app: Flask, settings: Settings) -> None:
    """Set what Flask-SQLAlchemy reads. Call this before `db.init_app`."""
    url = settings.database_url.get_secret_value()
    # Parameters hold phone numbers and texts; errors and logs must not.
    hidden: dict[str, Any] = {"hide_parameters": True}
    work: dict[str, Any] = dict(hidden)
    if url.startswith("postgresql"):
        work |= {"pool_size": settings.worker_concurrency, "max_overflow": 4, "pool_timeout": 5}
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = work
    app.config["SQLALCHEMY_BINDS"] = {OVERFLOW: {"url": url, **hidden, **_POOL}}


def prepare(app: Flask, settings: Settings) -> None:
    """Give both engines their time limits. Call this after `db.init_app`."""
    with app.app_context():
        work, overflow = db.engine, db.engines[OVERFLOW]
    # Who closes the connections of one means both.
    event.listen(work, "engine_disposed", lambda _: overflow.dispose())
    if work.dialect.name == "sqlite":
        speak_sqlite_properly(work)
        speak_sqlite_properly(overflow, busy_timeout=_WAIT)
        return
    from service.database import postgresql

    prepare_statements = settings.database_prepared_statements
    postgresql.limit_waits(work, prepare_statements)
    postgresql.ping_what_rested(work)
    short = postgresql.Limits(statement=2, lock=_WAIT, answer=3)
    postgresql.limit_waits(overflow, prepare_statements, short)
    postgresql.ping_what_rested(overflow)
