"""Sessions of operators: rows in the database, so that ending one ends it in every replica."""

import hashlib
import logging
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from service.database import transaction
from service.models import OperatorKey
from service.observability import events
from service.queries import operators

# A working day, and a lunch break. An open page asks every few seconds: it is in use.
LONGEST: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=1)
# `seen_at` is written this often: a page that is watched must cost no write for each request.
_SEEN_EVERY: Final = timedelta(minutes=1)
# Ended and expired sessions stay this long, to be looked at.
_KEPT: Final = timedelta(days=30)

_log = logging.getLogger(__name__)


class Current(NamedTuple):
    """The session of a request."""

    id: int
    operator: str
    seen_at: datetime


def begin(key: OperatorKey) -> str:
    """Begin a session for a key; return its id, which is stored as a digest only."""
    session_id, now = secrets.token_urlsafe(32), datetime.now(UTC)
    with transaction():
        operators.drop_sessions(created_before=now - _KEPT)
        operators.add_session(_digest(session_id), key.id, now)
    events.operator_action(key.name, "logged_in")
    return session_id


def find(session_id: object) -> Current | None:
    """Return a session that is open: not ended, not idle, not too old, its key not revoked."""
    if not isinstance(session_id, str):
        return None
    now = datetime.now(UTC)
    row = operators.session_by_digest(
        _digest(session_id), created_after=now - LONGEST, seen_after=now - IDLE
    )
    current = Current(row[0], row[1], row[2]) if row else None
    if current and now - current.seen_at > _SEEN_EVERY:
        _note_seen(current, now)
    return current


def every_open() -> list[operators.OpenSession]:
    """Return the sessions that are open, the oldest first."""
    now = datetime.now(UTC)
    return operators.open_sessions(created_after=now - LONGEST, seen_after=now - IDLE)


def end(ids: Collection[int] | None) -> int:
    """End sessions by number, or all for None; return how many were open."""
    with transaction():
        return operators.end_sessions(datetime.now(UTC), ids=ids)


def _note_seen(current: Current, now: datetime) -> None:
    try:
        with transaction():
            operators.note_seen(current.id, now)
    except SQLAlchemyError as error:
        # A database that only reads must not lock out who wants to see what is wrong.
        _log.warning("could not note that a session is in use (%s)", type(error).__name__)


def _digest(session_id: str) -> bytes:
    # Plain SHA-256 serves: the id is random, not chosen. A look-up by digest takes as long for any.
    return hashlib.sha256(session_id.encode()).digest()
