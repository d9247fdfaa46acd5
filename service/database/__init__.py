"""The database: `db`, transactions and SQLite's pragmas. `app.create_app` binds them."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase


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


# expire_on_commit off: a flow reads what it wrote without opening another transaction.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

# The name of the small engine that only the overflow and probes use (service/database/engines.py).
OVERFLOW: Final = "overflow"
# PostgreSQL's engines whose connections reach the server without a pooler.
unpooled: Final = WeakSet[Engine]()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def transaction() -> AbstractContextManager[None]:
    """Run one write transaction: commit at the end, roll back on any error, keep no connection."""
    return _unit({"sqlite_begin": "IMMEDIATE"})


def single_write() -> AbstractContextManager[None]:
    """Run what writes with one statement, which is a transaction by itself on PostgreSQL.

    Not to say BEGIN and COMMIT saves two round trips of three. An error after the statement takes
    nothing back. Through a pooler it is a transaction: outside of one no time limit holds.
    """
    return _unit({"isolation_level": "AUTOCOMMIT"}) if db.engine in unpooled else transaction()


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


def speak_sqlite_properly(engine: Engine, busy_timeout: int = 15) -> None:
    """Make SQLite transactional, durable and patient: it waits so many seconds for a lock.

    Python's driver opens transactions late and by guesswork; a write transaction that begins as
    a read fails at once when another writer came between. See
    https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    """

    def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"busy_timeout={busy_timeout * 1000}",
            "foreign_keys=ON",
            "synchronous=FULL",
        ):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", set_pragmas)
    event.listen(engine, "begin", _begin)


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
