"""Queries for whoever watches: what waits in the database, by index, and never counted far."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, func, select

from service.database import db
from service.models import DeadLetter, Message, Overflow

# Beyond this many nobody needs the exact figure, and everybody needs the database.
MOST: Final = 10_000


class Waiting(NamedTuple):
    """How many of each wait, `MOST` at most; of some also since when the oldest."""

    due: int  # their time has come, and no worker has taken them
    due_since: datetime | None
    in_doubt: int  # a look-up or a callback will tell
    for_a_person: int  # in doubt, and no look-up can tell
    claims_overdue: int  # their worker died, and no sweep has come
    overflow: int
    overflow_since: datetime | None
    dead_letters: int


def waiting(now: datetime) -> Waiting:
    """Return what waits now."""
    # What is put back, for a later attempt or for a slow sender, is due in the future.
    due = select(Message.due_at).where(Message.due_at <= now)
    doubts = select(Message.doubt_since).where(Message.doubt_since.is_not(None))
    overdue = select(Message.claimed_until).where(Message.claimed_until < now)
    in_doubt = _count(doubts)
    for_a_person = _count(doubts.where(Message.check_at.is_(None))) if in_doubt else 0
    return Waiting(
        due=_count(due),
        due_since=db.session.scalar(due.order_by(Message.due_at).limit(1)),
        in_doubt=in_doubt - for_a_person,
        for_a_person=for_a_person,
        claims_overdue=_count(overdue),
        overflow=_count(select(Overflow.id)),
        overflow_since=db.session.scalar(
            select(Overflow.received_at).order_by(Overflow.id).limit(1)
        ),
        dead_letters=_count(select(DeadLetter.id)),
    )


def _count(rows: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(rows.limit(MOST).subquery())) or 0
