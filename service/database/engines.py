"""The database engines: one for all work, a small one for the overflow and probes, and a replica.

A callback that Redis cannot take must not wait for connections that API requests hold: it gets its
answer within seconds, whatever the database does. Probes use the small engine because they report
whether a callback could be stored.
"""

from typing import Any, Final

from flask import Flask
from sqlalchemy import event

from service.config.settings import Settings
from service.database import OVERFLOW, REPLICA, configure_sqlite, db, replica

# Seconds that a callback waits for a connection of the small engine, and for the lock of SQLite.
_OVERFLOW_TIMEOUT: Final = 1
_OVERFLOW_POOL: Final = {"pool_size": 2, "max_overflow": 0, "pool_timeout": _OVERFLOW_TIMEOUT}


def configure(app: Flask, settings: Settings) -> None:
    """Configure Flask-SQLAlchemy. Call this before `db.init_app`."""
    url = settings.database_url.get_secret_value()
    # Parameters hold phone numbers and texts, which must not appear in errors and logs.
    common: dict[str, Any] = {"hide_parameters": True}
    options: dict[str, Any] = dict(common)
    if url.startswith("postgresql"):
        options |= {"pool_size": settings.worker_concurrency, "max_overflow": 4, "pool_timeout": 5}
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    app.config["SQLALCHEMY_BINDS"] = {OVERFLOW: {"url": url, **common, **_OVERFLOW_POOL}}
    if settings.database_read_url is not None:
        # Requests that find no connection within a second read the primary.
        read = {**options, "url": settings.database_read_url.get_secret_value(), "pool_timeout": 1}
        app.config["SQLALCHEMY_BINDS"][REPLICA] = read
        replica.init_app(app)


def prepare(app: Flask, settings: Settings) -> None:
    """Set the time limits of all engines. Call this after `db.init_app`."""
    with app.app_context():
        engines = dict(db.engines)
    main = engines.pop(None)
    for engine in engines.values():
        event.listen(main, "engine_disposed", lambda _, engine=engine: engine.dispose())
    if main.dialect.name == "sqlite":
        configure_sqlite(main)
        configure_sqlite(engines[OVERFLOW], busy_timeout=_OVERFLOW_TIMEOUT)
        return
    from service.database import postgresql

    prepare_statements = settings.database_prepared_statements
    postgresql.set_timeouts(main, prepare_statements)
    postgresql.ping_idle_connections(main)
    # A replica that does not answer within 3 s is not used: the primary is read.
    short = postgresql.Timeouts(statement=2, lock=_OVERFLOW_TIMEOUT, answer=3)
    for engine in engines.values():
        postgresql.set_timeouts(engine, prepare_statements, short)
        postgresql.ping_idle_connections(engine)
