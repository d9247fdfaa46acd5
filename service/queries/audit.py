"""Queries of the audit. Each reads one piece of a table, in the order of a key.

A whole table in one statement would meet the limit on a statement's time. A piece returns where
the next one begins, None at the end.
"""

from collections import Counter
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from service.database import db
from service.domain.report import Source
from service.domain.status import FINAL, Status
from service.models import Attempt, DeadLetter, Message, StatusEvent

PIECE: Final = 10_000


class Overdue(NamedTuple):
    """How many messages wait for something that should have happened."""

    claims: int = 0
    pending: int = 0
    doubts: int = 0
    people: int = 0  # in doubt, and for a person to decide


class Messages(NamedTuple):
    """One piece of the messages: how many have each status, and how many are overdue."""

    by_status: Counter[Status]
    overdue: Overdue


def messages(after: UUID | None, before: datetime) -> tuple[Messages, UUID | None]:
    """Count a piece of the messages; overdue is what should have been seen to before then."""
    piece, last = _piece(Message.id, after)
    in_doubt = Message.status == Status.IN_DOUBT
    overdue = (
        and_(Message.status == Status.SUBMITTING, Message.claimed_until < before),
        and_(Message.status == Status.PENDING, Message.due_at < before),
        and_(in_doubt, Message.check_at < before),
        and_(in_doubt, Message.check_at.is_(None)),
    )
    counts = [func.count(case((condition, 1))) for condition in overdue]
    query = select(Message.status, func.count(), *counts).where(*piece).group_by(Message.status)
    rows = db.session.execute(query).all()
    by_status = Counter({row[0]: row[1] for row in rows})
    late = Overdue(*(sum(int(row[2 + place]) for row in rows) for place in range(len(overdue))))
    return Messages(by_status, late), last


def shared_sids(after: str | None) -> tuple[int, str | None]:
    """Count the SIDs of a piece that are bound to more than one attempt."""
    piece, last = _piece(Attempt.provider_sid, after)
    twice = select(Attempt.provider_sid).where(*piece)
    twice = twice.group_by(Attempt.provider, Attempt.provider_sid).having(func.count() > 1)
    return _count(twice), last


def adoptable_orphans(after: int | None, before: datetime) -> tuple[int, int | None]:
    """Count the orphans of a piece that came before then and whose SID is bound."""
    piece, last = _piece(StatusEvent.id, after, StatusEvent.message_id.is_(None))
    bound = _first(
        Attempt.id,
        Attempt.provider_sid == StatusEvent.provider_sid,
        Attempt.provider == StatusEvent.provider,
    )
    orphans = select(StatusEvent.id).where(*piece, StatusEvent.received_at < before)
    return _count(orphans.where(bound.is_not(None))), last


def callbacks_missed(after: int | None) -> tuple[int, int | None]:
    """Count the statuses in a piece of the ledger that we had to ask for and no callback told."""
    piece, last = _piece(StatusEvent.id, after)
    asked, other = StatusEvent, aliased(StatusEvent)
    same = other.message_id == asked.message_id, other.status == asked.status
    told = _first(other.id, *same, other.source == Source.CALLBACK)
    # The same status, asked for twice, is missed once.
    earlier = other.source == Source.RECONCILIATION, other.attempt_id.is_not(None)
    counted = _first(other.id, *same, *earlier, other.id < asked.id)
    missed = select(asked.id).where(
        *piece,
        asked.source == Source.RECONCILIATION,
        asked.attempt_id.is_not(None),
        asked.status.in_([*FINAL, Status.SENT]),
        told.is_(None),
        counted.is_(None),
    )
    return _count(missed), last


def set_aside(after: int | None) -> tuple[int, int | None]:
    """Count a piece of the dead letters."""
    piece, last = _piece(DeadLetter.id, after)
    return _count(select(DeadLetter.id).where(*piece)), last


def _piece(
    key: InstrumentedAttribute[Any], after: Any, *where: ColumnElement[bool]
) -> tuple[list[ColumnElement[bool]], Any]:
    """Return the condition for the rows of a piece, and its last key.

    The end is settled before the piece is read: rows that come and go meanwhile do not move it.
    """
    piece: list[ColumnElement[bool]] = [*where, key.is_not(None)]
    if after is not None:
        piece.append(key > after)
    ends = select(key).where(*piece).order_by(key).offset(PIECE - 1).limit(1)
    last = db.session.scalar(ends)
    return [*piece, *([key <= last] if last is not None else [])], last


def _first(column: InstrumentedAttribute[Any], *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Ask for one row by index, for each row of a piece: EXISTS may read the other table whole."""
    return select(column).where(*where).limit(1).scalar_subquery()


def _count(rows: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(rows.subquery())) or 0
