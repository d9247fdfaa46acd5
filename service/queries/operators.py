"""Queries on operators' keys and sessions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, delete, select, update

from service.database import db
from service.models import OperatorKey, OperatorSession
from service.queries import keys


class OpenSession(NamedTuple):
    """The session of an operator, which has neither ended nor expired."""

    id: int
    operator: str
    key_id: int
    created_at: datetime
    seen_at: datetime


def any_live() -> bool:
    """Return whether an operator key exists that is not revoked."""
    query = select(OperatorKey.id).where(OperatorKey.revoked_at.is_(None)).limit(1)
    return db.session.scalar(query) is not None


def list_keys() -> Sequence[OperatorKey]:
    """Return every key, by name and age."""
    return db.session.scalars(select(OperatorKey).order_by(OperatorKey.name, OperatorKey.id)).all()


def revoke(key_id: int, now: datetime) -> bool:
    """Revoke a key and end its sessions; return whether it was valid until now."""
    end_sessions(now, key_id=key_id)
    return keys.revoke(OperatorKey, key_id)


def add_session(digest: bytes, key_id: int, now: datetime) -> None:
    """Add a new session."""
    db.session.add(OperatorSession(digest=digest, key_id=key_id, created_at=now, seen_at=now))


def session_by_digest(
    digest: bytes, created_after: datetime, seen_after: datetime
) -> OpenSession | None:
    """Return an open session."""
    query = _open(created_after, seen_after).where(OperatorSession.digest == digest)
    row = db.session.execute(query).first()
    return OpenSession(*row) if row else None


def open_sessions(created_after: datetime, seen_after: datetime) -> list[OpenSession]:
    """Return the open sessions, oldest first."""
    query = _open(created_after, seen_after).order_by(OperatorSession.id)
    return [OpenSession(*row) for row in db.session.execute(query)]


def note_seen(session_id: int, now: datetime) -> None:
    """Record the last use of a session."""
    statement = update(OperatorSession).where(OperatorSession.id == session_id)
    db.session.execute(statement.values(seen_at=now))


def end_sessions(
    now: datetime, *, ids: Collection[int] | None = None, key_id: int | None = None
) -> int:
    """End the sessions with these ids, those of a key, or all; return how many ended."""
    statement = update(OperatorSession).where(OperatorSession.ended_at.is_(None))
    if ids is not None:
        statement = statement.where(OperatorSession.id.in_(ids))
    if key_id is not None:
        statement = statement.where(OperatorSession.key_id == key_id)
    ended = statement.values(ended_at=now).returning(OperatorSession.id)
    return len(db.session.scalars(ended).all())


def drop_sessions(created_before: datetime) -> None:
    """Delete sessions that began before this time."""
    db.session.execute(delete(OperatorSession).where(OperatorSession.created_at < created_before))


def _open(
    created_after: datetime, seen_after: datetime
) -> Select[int, str, int, datetime, datetime]:
    columns = OperatorSession.id, OperatorKey.name, OperatorSession.key_id
    query = select(*columns, OperatorSession.created_at, OperatorSession.seen_at)
    return query.join_from(OperatorSession, OperatorKey).where(
        OperatorSession.ended_at.is_(None),
        OperatorKey.revoked_at.is_(None),
        OperatorSession.created_at > created_after,
        OperatorSession.seen_at > seen_after,
    )
