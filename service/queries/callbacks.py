"""Queries on the overflow and on dead letters."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.orm import scoped_session

from service.database import db
from service.models import DeadLetter, Overflow
from service.providers.base import Callback


def add_overflow(
    callback: Callback, connection: Connection | scoped_session[Any] = db.session
) -> None:
    """Store a callback that the inbox could not take."""
    connection.execute(insert(Overflow).values(**callback._asdict()))


def callback_of(row: Overflow | DeadLetter) -> Callback:
    """Return the callback in a row."""
    return Callback(row.provider, row.attempt, row.body, row.received_at)


def oldest_overflow(limit: int) -> Sequence[Overflow]:
    """Return the oldest callbacks in the overflow; lock them, skip locked ones."""
    query = select(Overflow).order_by(Overflow.id).limit(limit).with_for_update(skip_locked=True)
    return db.session.scalars(query).all()


def delete_overflow(ids: Sequence[int]) -> None:
    """Delete callbacks from the overflow."""
    db.session.execute(delete(Overflow).where(Overflow.id.in_(ids)))


def dead_letters(
    limit: int, ids: Collection[int] | None = None, *, lock: bool = False
) -> Sequence[DeadLetter]:
    """Return the oldest dead letters, or the oldest of these ids.

    With `lock`, lock them and skip locked ones.
    """
    query = select(DeadLetter).order_by(DeadLetter.id).limit(limit)
    if ids is not None:
        query = query.where(DeadLetter.id.in_(ids))
    if lock:
        query = query.with_for_update(skip_locked=True)
    return db.session.scalars(query).all()


def dead_letters_after(after: int, limit: int) -> Sequence[DeadLetter]:
    """Return the oldest dead letters whose id is greater than `after`."""
    query = select(DeadLetter).where(DeadLetter.id > after).order_by(DeadLetter.id).limit(limit)
    return db.session.scalars(query).all()


def delete_dead_letters(ids: Sequence[int]) -> None:
    """Delete dead letters."""
    db.session.execute(delete(DeadLetter).where(DeadLetter.id.in_(ids)))


def add_dead_letter(callback: Callback, error: str, now: datetime) -> None:
    """Store a callback that could not be recorded, with the error."""
    db.session.add(DeadLetter(**callback._asdict(), error=error, set_aside_at=now))
