"""Queries on callbacks kept outside the inbox: overflow to be drained, dead letters to be read."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select

from service.extensions import db
from service.models import DeadLetter, Overflow
from service.providers.contract import Callback


def add_overflow(callback: Callback) -> None:
    """Keep a callback that the inbox could not take."""
    db.session.add(Overflow(**callback._asdict()))


def oldest_overflow(limit: int) -> Sequence[Overflow]:
    """Return the oldest of the overflow."""
    return db.session.scalars(select(Overflow).order_by(Overflow.id).limit(limit)).all()


def drop_overflow(ids: Sequence[int]) -> None:
    """Forget overflow that is back in the inbox."""
    db.session.execute(delete(Overflow).where(Overflow.id.in_(ids)))


def dead_letters(limit: int, ids: Collection[int] | None = None) -> Sequence[DeadLetter]:
    """Return the oldest dead letters, or those with these numbers."""
    query = select(DeadLetter).order_by(DeadLetter.id).limit(limit)
    if ids is not None:
        query = query.where(DeadLetter.id.in_(ids))
    return db.session.scalars(query).all()


def dead_letters_past(number: int, limit: int) -> Sequence[DeadLetter]:
    """Return the oldest dead letters past this number."""
    query = select(DeadLetter).where(DeadLetter.id > number).order_by(DeadLetter.id).limit(limit)
    return db.session.scalars(query).all()


def drop_dead_letters(ids: Sequence[int]) -> None:
    """Forget dead letters that are back in the inbox."""
    db.session.execute(delete(DeadLetter).where(DeadLetter.id.in_(ids)))


def add_dead_letter(callback: Callback, error: str, now: datetime) -> None:
    """Keep a callback that could not be recorded, with the reason."""
    db.session.add(DeadLetter(**callback._asdict(), error=error, set_aside_at=now))
