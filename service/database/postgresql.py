"""Time limits for connections to PostgreSQL, with and without a pooler.

There are three kinds, because none covers every fault. The server cancels a statement or a wait for
a lock that takes too long. TCP closes a connection whose host is gone. The client closes a
connection that does not answer in time: only this helps when a proxy or a pooler hangs.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.errors import _WaitTimeout
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from service.database import unpooled

# Parameters of libpq; DATABASE_URL can override them. In seconds, tcp_user_timeout in milliseconds.
CONNECT_DEFAULTS: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# Seconds until the server ends a session that is idle in a transaction: it may hold locks.
_IDLE_IN_TRANSACTION_TIMEOUT: Final = 60
# Seconds of idleness after which a connection is pinged, and seconds to wait for the answer.
_PING_AFTER: Final = 1.0
_PING_TIMEOUT: Final = 2.0
_POOLED: Final = "pooled"
_NO_TIMEOUTS: Final = "waybill_no_timeouts"


class Timeouts(NamedTuple):
    """Seconds. Those of the server are shorter, so that the server rolls back."""

    statement: float = 10
    lock: float = 5
    answer: float = 12


class _Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer in time."""

    answer_timeout: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, timeout or self.answer_timeout)
        except _WaitTimeout:
            self.pgconn.finish()  # or the next statement would read the late answer as its own
            raise psycopg.OperationalError("the server did not answer in time") from None


def set_timeouts(engine: Engine, prepare: bool | None, timeouts: Timeouts | None = None) -> None:
    """Set the time limits of every connection of an engine.

    `prepare`: whether to prepare statements; None means only without a pooler.
    """
    timeouts = timeouts or Timeouts()

    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        connection = _Connection.connect(*arguments, **{**CONNECT_DEFAULTS, **options})
        connection.answer_timeout = timeouts.answer
        return connection

    def set_up(connection: _Connection, record: ConnectionPoolEntry) -> None:
        connection.autocommit = True
        pooled = record.info[_POOLED] = _is_pooled(connection)
        if not pooled:
            connection.execute(_set("SESSION", timeouts))
        connection.autocommit = False
        if not (not pooled if prepare is None else prepare):
            connection.prepare_threshold = None
        if pooled:
            unpooled.discard(engine)
        else:
            unpooled.add(engine)

    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if connection.info[_POOLED] and options.get("isolation_level") != "AUTOCOMMIT":
            current = None if options.get(_NO_TIMEOUTS) else timeouts
            connection.exec_driver_sql(_set("LOCAL", current).decode())

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)


@contextmanager
def without_timeouts(connection: Connection) -> Iterator[None]:
    """Run a migration without time limits: to build an index on a large table takes minutes.

    The connection does not return to its pool.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.answer_timeout = None
    if connection.info[_POOLED]:
        # A session setting would stay on the pooler's connection and affect the next client.
        # `begin` sets it for each transaction.
        connection.execution_options(**{_NO_TIMEOUTS: True})
    else:
        connection.exec_driver_sql(_set("SESSION", None).decode())
        connection.commit()
    connection.detach()
    yield


def _is_pooled(connection: _Connection) -> bool:
    """Return whether there is a pooler: it reports a made-up process id to its clients."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid


def _set(scope: str, timeouts: Timeouts | None) -> bytes:
    """Return the SQL that sets the time limits of a session or a transaction; None: no limits."""
    settings = {
        "statement_timeout": timeouts.statement if timeouts else 0,
        "lock_timeout": timeouts.lock if timeouts else 0,
        "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_TIMEOUT if timeouts else 0,
    }
    return "; ".join(
        f"SET {scope} {name} = {int(seconds * 1000)}" for name, seconds in settings.items()
    ).encode()


def ping_idle_connections(engine: Engine) -> None:
    """Ping a connection that was idle for a second, and replace it if it does not answer.

    A ping at every use, as `pool_pre_ping` does, doubles the round trips of a short transaction.
    """

    def note_checkin(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    def ping(connection: _Connection, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("idle_since", math.inf) < _PING_AFTER:
            return
        timeout, connection.answer_timeout = connection.answer_timeout, _PING_TIMEOUT
        try:
            engine.dialect.do_ping(connection)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise DisconnectionError from error
        connection.answer_timeout = timeout

    event.listen(engine, "checkin", note_checkin)
    event.listen(engine, "checkout", ping)
