"""Which errors of the database pass: the same statement may succeed later, unchanged.

The only list of them. Everything else is the fault of the statement or of its values, and a retry
would fail in the same way.
https://www.postgresql.org/docs/current/errcodes-appendix.html and https://www.sqlite.org/rescode.html
"""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# The first two characters of a SQLSTATE.
_PASSING_CLASSES: Final = {
    "08",  # the connection failed, also as a pooler reports it
    "28",  # the password was changed: the fault of the settings, not of a statement
    "40",  # deadlock, serialization failure
    "53",  # disk full, out of memory, too many connections
    "58",  # input or output error of the server
}
_PASSING_STATES: Final = {
    "0A000",  # a prepared statement is older than the last migration
    "25006",  # the server only reads: a standby, or a primary that was demoted
    "25P03",  # idle in a transaction for too long
    "26000",  # a pooler gave this transaction a connection without our prepared statement
    "3D000",  # the database does not exist, yet or any more
    "42P05",  # as 26000
    "55006",  # an object is in use
    "55P03",  # lock timeout
    "57P01",  # the server is shutting down, crashed, starts, or ended an idle session
    "57P02",
    "57P03",
    "57P04",
    "57P05",
    "XX001",  # damaged files: not the fault of what is written
    "XX002",
}
_SLOW_STATES: Final = {"57014", "25P04"}  # statement timeout, transaction timeout
# Primary result codes of SQLite: BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL,
# CANTOPEN, PROTOCOL, NOTADB.
_PASSING_CODES: Final = {5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26}


def is_passing(error: BaseException) -> bool:
    """Tell whether the database may do later what it did not do now."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if state := _state(error):
        return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _PASSING_CODES  # the upper bytes only say more about it
    return _never_reached(error)


def is_slow(error: BaseException) -> bool:
    """Tell whether the server ended a statement that took too long."""
    return isinstance(error, DBAPIError) and _state(error) in _SLOW_STATES


def is_retryable(error: BaseException) -> bool:
    """Tell whether to ask a caller to come back: also where a statement took too long."""
    return is_passing(error) or is_slow(error)


def _state(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _never_reached(error: DBAPIError) -> bool:
    """Tell whether an error without a code means that no server was reached.

    psycopg raises such an error for a statement that it cannot send (too many parameters), too.
    """
    if hasattr(error.orig, "sqlstate") and error.statement is not None:
        return False
    return isinstance(error, OperationalError | InterfaceError)
