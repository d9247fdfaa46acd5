"""Flask extensions and the application's parts, unbound; `app.create_app` binds them."""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flask import current_app
from flask.ctx import AppContext
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.exc import DisconnectionError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

from service.errors import NotAccepted

if TYPE_CHECKING:
    from service.callback_checks import CallbackChecks
    from service.config import Settings
    from service.inbox import Inbox
    from service.lines import Lines
    from service.pace import Pace
    from service.presence import Presence
    from service.providers.contract import Provider
    from service.queue import Queue
    from service.shelf import Shelf


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can drop what they made."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# These pass: what was asked may be asked again, later. A database that only reads raises an
# InternalError, an exhausted pool a TimeoutError.
PASSING = (OperationalError, InterfaceError, InternalError, PoolTimeout)

# Seconds after which a connection may have died unseen.
_RESTED: Final = 1.0

# expire_on_commit off: a flow reads what it wrote without opening another transaction.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of."""

    settings: "Settings"
    providers: Mapping[str, "Provider"]
    inbox: "Inbox"
    queue: "Queue"
    lines: "Lines"
    pace: "Pace"
    presence: "Presence"
    shelf: "Shelf"
    callback_checks: "CallbackChecks"
    context: Callable[[], AppContext]  # for the door that has no request's context

    def provider(self, name: str) -> "Provider":
        """Return a provider. Raises NotAccepted while the settings do not describe it."""
        found = self.providers.get(name)
        if found is None:
            raise NotAccepted(f"{name} is not configured")
        return found


def parts() -> Parts:
    """Return the parts of the current application."""
    bound: Parts = current_app.extensions["waybill"]
    return bound


def transaction() -> AbstractContextManager[None]:
    """Run one write transaction: commit at the end, roll back on any error, keep no connection."""
    return _unit({"sqlite_begin": "IMMEDIATE"})


def single_write() -> AbstractContextManager[None]:
    """Run what writes with one statement, which is a transaction by itself on PostgreSQL.

    Not to say BEGIN and COMMIT saves two round trips of three. An error after the statement takes
    nothing back.
    """
    return _unit({"isolation_level": "AUTOCOMMIT"}) if is_postgresql() else transaction()


def is_postgresql() -> bool:
    """Tell which database this is."""
    return db.engine.dialect.name == "postgresql"


@contextmanager
def _unit(options: dict[str, Any]) -> Iterator[None]:
    session = db.session
    session.rollback()  # a read before it began a transaction that must not become this one
    session.connection(execution_options=options)
    try:
        yield
        session.commit()
    finally:
        session.close()


def ping_what_rested(engine: Engine) -> None:
    """Ask a connection that rested whether it still lives, and take a new one where it does not.

    To ask at every use, as `pool_pre_ping` does, doubles the round trips of a short transaction.
    """

    def note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    def ping(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) < _RESTED:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error

    if engine.dialect.name == "postgresql":
        event.listen(engine, "checkin", note)
        event.listen(engine, "checkout", ping)


def speak_sqlite_properly(engine: Engine) -> None:
    """Make SQLite transactional, durable and patient. No effect on other databases.

    Python's driver opens transactions late and by guesswork; a write transaction that begins as
    a read fails at once when another writer came between. See
    https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "busy_timeout=15000", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
