"""The database extension `db`, transactions, and the configuration of SQLite."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Base of all models. Names every constraint, so that migrations can drop it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# Names of the small engine for the overflow and probes, and of that of the replica
# (service/database/engines.py).
OVERFLOW: Final = "overflow"
REPLICA: Final = "replica"
# Whether the replica is read, in the `info` of the session (service/database/replica.py).
READS_REPLICA: Final = "reads_replica"


class _Session(Session):
    """A session that reads the replica while its `info` says so."""

    def get_bind(
        self,
        mapper: Any | None = None,
        clause: Any | None = None,
        bind: Engine | Connection | None = None,
        **options: Any,
    ) -> Engine | Connection:
        if bind is None and self.info.get(READS_REPLICA):
            return self._db.engines[REPLICA]
        return super().get_bind(mapper, clause, bind, **options)


# Without expire_on_commit, rows can be read after a commit without another transaction.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False, "class_": _Session})
# PostgreSQL engines that connect to the server without a pooler.
unpooled: Final = WeakSet[Engine]()
# What to do after the commit, in the `info` of the session.
_ACTIONS: Final = "after_commit"

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def transaction() -> AbstractContextManager[None]:
    """Run one write transaction: commit, or roll back on any error; release the connection."""
    return _unit_of_work({"sqlite_begin": "IMMEDIATE"})


def single_write() -> AbstractContextManager[None]:
    """Run a single write statement; on PostgreSQL without BEGIN and COMMIT.

    This saves two of three round trips. An error after the statement does not roll it back. Through
    a pooler it runs in a transaction, because time limits are set for each transaction.
    """
    if db.engine not in unpooled:
        return transaction()
    return _unit_of_work({"isolation_level": "AUTOCOMMIT"})


@contextmanager
def _unit_of_work(options: dict[str, Any]) -> Iterator[None]:
    session = db.session
    session.rollback()  # end the transaction that an earlier read began
    session.info.pop(READS_REPLICA, None)  # also for the reads that follow: they see the write
    session.connection(execution_options=options)
    actions: dict[str, Callable[[str], None]] = {}
    session.info[_ACTIONS] = actions
    try:
        yield
        session.commit()
    finally:
        session.close()
    for name, action in actions.items():
        action(name)


def after_commit(name: str, action: Callable[[str], None]) -> None:
    """Call `action(name)`, once for each name, when the transaction has been committed."""
    db.session.info[_ACTIONS][name] = action


def configure_sqlite(engine: Engine, busy_timeout: int = 15) -> None:
    """Make SQLite transactional and durable, and wait `busy_timeout` seconds for a lock.

    By default Python's driver begins a transaction only at the first write. A transaction that
    begins with a read fails immediately if another one wrote in between. See
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
