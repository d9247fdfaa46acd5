"""Classify database errors: transient errors and statement timeouts can be retried, others cannot.

The only list of error codes: any other error is caused by the statement or its values.
https://www.postgresql.org/docs/current/errcodes-appendix.html and https://www.sqlite.org/rescode.html
"""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# The first two characters of a SQLSTATE.
_TRANSIENT_CLASSES: Final = {
    "08",  # the connection failed, also as a pooler reports it
    "28",  # invalid credentials: the settings are wrong, not the statement
    "40",  # deadlock, serialization failure
    "53",  # disk full, out of memory, too many connections
    "58",  # input or output error of the server
}
_TRANSIENT_STATES: Final = {
    "0A000",  # a prepared statement is older than the last migration
    "25006",  # the server is read-only: a standby, or a primary that was demoted
    "25P03",  # idle in a transaction for too long
    "26000",  # a pooler gave this transaction a connection without our prepared statement
    "3D000",  # the database does not exist, not yet or not any more
    "42P05",  # as 26000
    "55006",  # an object is in use
    "55P03",  # lock timeout
    "57P01",  # the server is shutting down, crashed, starts, or ended an idle session
    "57P02",
    "57P03",
    "57P04",
    "57P05",
    "XX001",  # damaged files: not caused by the values that are written
    "XX002",
}
_TIMEOUT_STATES: Final = {"57014", "25P04"}  # statement timeout, transaction timeout
# Primary result codes of SQLite: BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL,
# CANTOPEN, PROTOCOL, NOTADB.
_TRANSIENT_SQLITE_CODES: Final = {5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26}


def is_transient(error: BaseException) -> bool:
    """Return whether the same statement may succeed later, unchanged."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if state := _sqlstate(error):
        return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _TRANSIENT_SQLITE_CODES  # the upper bytes only give details
    return _is_connection_failure(error)


def is_statement_timeout(error: BaseException) -> bool:
    """Return whether the server ended a statement or transaction that took too long."""
    return isinstance(error, DBAPIError) and _sqlstate(error) in _TIMEOUT_STATES


def is_retryable(error: BaseException) -> bool:
    """Return whether a caller should try again: transient errors and statement timeouts."""
    return is_transient(error) or is_statement_timeout(error)


def _sqlstate(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _is_connection_failure(error: DBAPIError) -> bool:
    """Return whether an error without a code means that no server was reached.

    psycopg also raises such an error for a statement that it cannot send (too many parameters).
    """
    if hasattr(error.orig, "sqlstate") and error.statement is not None:
        return False
    return isinstance(error, OperationalError | InterfaceError)
