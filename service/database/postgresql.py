"""How Waybill connects to PostgreSQL: every wait has an end, with and without a pooler.

Three ends, because none of them covers every fault. The server ends a statement or a lock that
takes too long. TCP ends a connection whose host is gone. The client closes a connection that does
not answer in time: nothing else helps when a proxy or a pooler in between hangs.
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

# libpq's own names, so that DATABASE_URL can change them. Seconds; the user timeout milliseconds.
CONNECT_DEFAULTS: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
# Seconds until the server ends a session that is frozen within a transaction: others wait for its
# locks.
_IDLE: Final = 60
# Seconds after which a connection may have died unseen, and to wait for an answer to a ping.
_RESTED: Final = 1.0
_PING: Final = 2.0
_POOLED: Final = "pooled"
_UNLIMITED: Final = "waybill_unlimited"


class Limits(NamedTuple):
    """Seconds. The server comes before the client, so that it is the server that rolls back."""

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
            self.pgconn.finish()  # else the late answer would be read as that of the next statement
            raise psycopg.OperationalError("the server did not answer in time") from None


def limit_waits(engine: Engine, prepare: bool | None, limits: Limits | None = None) -> None:
    """Give every connection of an engine its time limits.

    `prepare` says whether statements are prepared; None: unless there is a pooler.
    """
    limits = limits or Limits()

    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        connection = _Connection.connect(*arguments, **{**CONNECT_DEFAULTS, **options})
        connection.answer_timeout = limits.answer
        return connection

    def limit(connection: _Connection, record: ConnectionPoolEntry) -> None:
        connection.autocommit = True
        pooled = record.info[_POOLED] = _is_pooled(connection)
        if not pooled:
            connection.execute(_set("SESSION", limits))
        connection.autocommit = False
        if pooled if prepare is None else not prepare:
            connection.prepare_threshold = None
        (unpooled.discard if pooled else unpooled.add)(engine)

    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if connection.info[_POOLED] and options.get("isolation_level") != "AUTOCOMMIT":
            chosen = None if options.get(_UNLIMITED) else limits
            connection.exec_driver_sql(_set("LOCAL", chosen).decode())

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", limit)
    event.listen(engine, "begin", begin)


@contextmanager
def without_limits(connection: Connection) -> Iterator[None]:
    """Run a migration without limits: an index on a large table takes minutes.

    The connection does not return to its pool.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.answer_timeout = None
    if connection.info[_POOLED]:
        # What is set for a session through a pooler stays with the server's connection, and meets
        # the next client. `begin` says it to each transaction.
        connection.execution_options(**{_UNLIMITED: True})
    else:
        connection.exec_driver_sql(_set("SESSION", None).decode())
        connection.commit()
    connection.detach()
    yield


def _is_pooled(connection: _Connection) -> bool:
    """Tell whether a pooler is in between: it makes up the process id that it gives to a client."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid


def _set(scope: str, limits: Limits | None) -> bytes:
    """Return the statement that sets the limits of a session or a transaction; None: none."""
    statement, lock, idle = (limits.statement, limits.lock, _IDLE) if limits else (0, 0, 0)
    settings = {
        "statement_timeout": statement,
        "lock_timeout": lock,
        "idle_in_transaction_session_timeout": idle,
    }
    return "; ".join(
        f"SET {scope} {name} = {int(seconds * 1000)}" for name, seconds in settings.items()
    ).encode()


def ping_what_rested(engine: Engine) -> None:
    """Ask a connection that rested whether it still lives, and take a new one where it does not.

    To ask at every use, as `pool_pre_ping` does, doubles the round trips of a short transaction.
    """

    def note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    def ping(connection: _Connection, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) < _RESTED:
            return
        limit, connection.answer_timeout = connection.answer_timeout, _PING
        try:
            engine.dialect.do_ping(connection)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise DisconnectionError from error
        connection.answer_timeout = limit

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ping)
