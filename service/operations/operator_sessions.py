"""Sessions of operators: database rows, so that ending one ends it in every replica."""

import logging
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from service.database import transaction
from service.models import OperatorKey
from service.observability import events
from service.queries import operators
from service.queries.keys import digest_of
from service.queries.operators import OpenSession

# A working day, and a lunch break. An open page polls: its session is in use.
MAX_AGE: Final = timedelta(hours=12)
MAX_IDLE: Final = timedelta(hours=1)
# `seen_at` is written once a minute: an open page must not cause a write for each request.
_SEEN_INTERVAL: Final = timedelta(minutes=1)
# Ended and expired sessions are kept for 30 days, for investigations.
_RETENTION: Final = timedelta(days=30)

_log = logging.getLogger(__name__)


def begin(key: OperatorKey) -> str:
    """Begin a session for a key; return its id, which is stored as a digest only."""
    session_id, now = secrets.token_urlsafe(32), datetime.now(UTC)
    with transaction():
        operators.drop_sessions(created_before=now - _RETENTION)
        operators.add_session(digest_of(session_id), key.id, now)
    events.operator_action(key.name, "logged_in")
    return session_id


def find(session_id: object) -> OpenSession | None:
    """Return the session, unless it ended or expired or its key is revoked."""
    if not isinstance(session_id, str):
        return None
    now = datetime.now(UTC)
    session = operators.session_by_digest(
        digest_of(session_id), created_after=now - MAX_AGE, seen_after=now - MAX_IDLE
    )
    if session and now - session.seen_at > _SEEN_INTERVAL:
        _update_seen(session, now)
    return session


def open_sessions() -> list[OpenSession]:
    """Return the open sessions, oldest first."""
    now = datetime.now(UTC)
    return operators.open_sessions(created_after=now - MAX_AGE, seen_after=now - MAX_IDLE)


def end(ids: Collection[int] | None) -> int:
    """End sessions by number, or all for None; return how many were open."""
    with transaction():
        return operators.end_sessions(datetime.now(UTC), ids=ids)


def _update_seen(session: OpenSession, now: datetime) -> None:
    try:
        with transaction():
            operators.note_seen(session.id, now)
    except SQLAlchemyError as error:
        # A read-only database must not lock operators out: they want to see what is wrong.
        _log.warning("could not update the time of a session (%s)", type(error).__name__)
