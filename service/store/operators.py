"""Queries on operators and their keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update

from service.extensions import db
from service.models import OperatorKey


def by_digest(digest: bytes) -> OperatorKey | None:
    """Return the live key with this digest."""
    query = select(OperatorKey).where(OperatorKey.digest == digest)
    return db.session.scalars(query.where(OperatorKey.revoked_at.is_(None))).one_or_none()


def live(key_id: int) -> OperatorKey | None:
    """Return the key with this number unless it was revoked."""
    query = select(OperatorKey).where(OperatorKey.id == key_id)
    return db.session.scalars(query.where(OperatorKey.revoked_at.is_(None))).one_or_none()


def every_key() -> Sequence[OperatorKey]:
    """Return every key, by name and age."""
    return db.session.scalars(select(OperatorKey).order_by(OperatorKey.name, OperatorKey.id)).all()


def revoke(key_id: int, now: datetime) -> bool:
    """Revoke a live key; tell whether there was one."""
    mine = OperatorKey.id == key_id, OperatorKey.revoked_at.is_(None)
    statement = update(OperatorKey).where(*mine).values(revoked_at=now).returning(OperatorKey.id)
    return db.session.scalars(statement).one_or_none() is not None
