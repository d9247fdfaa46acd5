"""Queries for whoever watches: what waits in the database, by index, and never counted far."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, func, select

from service.domain.status import Status
from service.extensions import db
from service.models import DeadLetter, Message, Overflow

# Beyond this many nobody needs the exact figure, and everybody needs the database.
MOST: Final = 10_000


class Waiting(NamedTuple):
    """How many of each wait, `MOST` at most; of some also since when the oldest."""

    in_doubt: int  # a look-up or a callback will tell
    for_a_person: int  # in doubt, and no look-up can tell
    claims_overdue: int  # their worker died, and no sweep has come
    overflow: int
    overflow_since: datetime | None
    dead_letters: int


def waiting(now: datetime) -> Waiting:
    """Return what waits now."""
    doubts = select(Message.check_at.is_(None)).where(
        # Both conditions: the index is on what has no SID, and says nothing of the status.
        Message.provider_sid.is_(None),
        Message.status == Status.IN_DOUBT,
    )
    overdue = select(Message.id).where(Message.claimed_until < now)
    in_doubt = _count(doubts)
    for_a_person = _count(doubts.where(Message.check_at.is_(None))) if in_doubt else 0
    oldest = select(Overflow.received_at).order_by(Overflow.id).limit(1)
    return Waiting(
        in_doubt=in_doubt - for_a_person,
        for_a_person=for_a_person,
        claims_overdue=_count(overdue),
        overflow=_count(select(Overflow.id)),
        overflow_since=db.session.scalar(oldest),
        dead_letters=_count(select(DeadLetter.id)),
    )


def _count(rows: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(rows.limit(MOST).subquery())) or 0
