"""Read from a replica of the database (DATABASE_READ_URL) what may be read there.

A client reads its own writes: a read first asks the primary for its position in the write-ahead
log, and uses the replica once it has replayed the log up to there. A replica that is down, hangs or
is too old costs one read a short wait; the others then read the primary for some seconds.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Final, ParamSpec, TypeVar

from flask import Flask, current_app
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.database import READS_REPLICA, db
from service.database.errors import is_retryable, is_transient

# Seconds by which figures for operators may be old.
RECENT: Final = 5.0
# Seconds that a read waits for the replica to catch up, and between two looks.
_LONGEST_WAIT: Final = 0.2
_POLL_INTERVAL: Final = 0.01
# Seconds during which reads use the primary after a failure.
_RESET_TIMEOUT: Final = 5.0
_EXTENSION: Final = "waybill-replica"

# A server that was promoted, or is not a replica, has the position to which it writes.
_READ_POSITION: Final = text(
    """
    SELECT CAST(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
        AS text
    )
    """
)
# Seconds since the commit of the last transaction that the replica replayed; 0 if it has replayed
# the log up to a position. Clocks that differ must not hide that it has not.
_READ_LAG: Final = text(
    """
    SELECT CASE
        WHEN CAST(:position AS pg_lsn) <= CASE
            WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn()
        END THEN 0
        ELSE greatest(0.001, extract(epoch FROM clock_timestamp()
            - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())))
    END
    """
)

_log = logging.getLogger(__name__)
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class ReplicaUnusable(OSError):
    """The replica is down, hangs, or is too old."""


def init_app(app: Flask) -> None:
    """Make reads of this application use the replica."""
    # One breaker for each tolerance: a replica may be recent enough for operators only.
    app.extensions[_EXTENSION] = defaultdict[float, CircuitBreaker](
        partial(CircuitBreaker, _RESET_TIMEOUT)
    )


def is_configured() -> bool:
    """Return whether the application has a replica."""
    return _EXTENSION in current_app.extensions


def from_replica(
    max_lag: float = 0.0,
) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
    """Decorate a function that only reads the database: it reads the replica if there is one.

    `max_lag`: by how many seconds it may be old; with 0 the function sees every earlier commit.
    Without a usable replica it reads the primary. It may be called twice: when the replica fails in
    the middle, it starts again on the primary. A write inside goes to the primary, and so do the
    reads that follow it.
    """

    def decorate(read: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
        @wraps(read)
        def routed(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
            if is_configured():
                try:
                    return _read(partial(read, *arguments, **options), max_lag)
                except CircuitOpen:
                    pass
                except ReplicaUnusable as error:
                    _log.warning("reading the primary: the replica is unusable (%s)", error)
            return read(*arguments, **options)

        return routed

    return decorate


def measure_lag() -> float | None:
    """Return by how many seconds the replica is behind; 0 if it catches up within 0.2 s.

    None: it does not answer. Raises SQLAlchemyError if the primary does not answer.
    """
    try:
        with _breaker(math.inf):
            position = _position()
            with _session_on_replica():
                return _lag_after_wait(position, 0.0)
    except (CircuitOpen, ReplicaUnusable):
        return None


def _read(read: Callable[[], _Result], max_lag: float) -> _Result:
    """Read the replica. Raises CircuitOpen or ReplicaUnusable when the primary must be read."""
    breaker = _breaker(max_lag)
    with ExitStack() as stack:
        with breaker:
            position = _position()
            stack.enter_context(_session_on_replica())
            lag = _lag_after_wait(position, max_lag)
            if lag > max_lag:
                raise ReplicaUnusable(f"{lag:.1f} s behind")
        try:
            return read()
        except SQLAlchemyError as error:
            if not is_retryable(error):
                raise
            if is_transient(error):
                breaker.open()
            raise ReplicaUnusable(type(error).__name__) from error


def _breaker(max_lag: float) -> CircuitBreaker:
    breaker: CircuitBreaker = current_app.extensions[_EXTENSION][max_lag]
    return breaker


def _position() -> str:
    """Return how far the primary has written its log."""
    position: str = db.session.scalars(_READ_POSITION).one()
    return position


def _lag_after_wait(position: str, max_lag: float) -> float:
    """Wait at most 0.2 s until the lag is at most `max_lag`; return it. Raises ReplicaUnusable."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        lag = _lag(position)
        if lag <= max_lag or time.monotonic() > deadline:
            return lag
        db.session.rollback()  # hold no connection while waiting
        time.sleep(_POLL_INTERVAL)


def _lag(position: str) -> float:
    try:
        return float(db.session.scalars(_READ_LAG, {"position": position}).one())
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        raise ReplicaUnusable(type(error).__name__) from error


@contextmanager
def _session_on_replica() -> Iterator[None]:
    """Read the replica with the session of this context.

    Rows that were read before or are returned keep what was read; they are detached.
    """
    session = db.session
    session.close()
    session.info[READS_REPLICA] = True
    try:
        yield
    finally:
        session.info.pop(READS_REPLICA, None)
        session.close()
