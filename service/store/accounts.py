"""Queries of the audit: counts over whole tables."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import aliased

from service.domain.report import Source
from service.domain.status import FINAL, Status
from service.extensions import db
from service.models import Attempt, DeadLetter, Message, StatusEvent


class Overdue(NamedTuple):
    """How many messages wait for something that should have happened."""

    claims: int
    pending: int
    doubts: int
    people: int  # in doubt, and for a person to decide


def accepted() -> int:
    """Count the messages."""
    return _count(select(func.count()).select_from(Message))


def messages_by_status() -> dict[Status, int]:
    """Return how many messages have each status."""
    query = select(Message.status, func.count()).group_by(Message.status)
    return {row[0]: row[1] for row in db.session.execute(query)}


def overdue(before: datetime) -> Overdue:
    """Count what should have been seen to before then."""
    messages = select(func.count()).select_from(Message)
    in_doubt = messages.where(Message.status == Status.IN_DOUBT)
    return Overdue(
        claims=_count(
            messages.where(Message.status == Status.SUBMITTING, Message.claimed_until < before)
        ),
        pending=_count(messages.where(Message.status == Status.PENDING, Message.due_at < before)),
        doubts=_count(in_doubt.where(Message.check_at < before)),
        people=_count(in_doubt.where(Message.check_at.is_(None))),
    )


def shared_sids() -> int:
    """Count the SIDs that are bound to more than one attempt."""
    twice = (
        select(Attempt.provider_sid)
        .where(Attempt.provider_sid.is_not(None))
        .group_by(Attempt.provider, Attempt.provider_sid)
        .having(func.count() > 1)
    )
    return _count(select(func.count()).select_from(twice.subquery()))


def adoptable_orphans(before: datetime) -> int:
    """Count the orphans that came before then and whose SID is bound."""
    bound = exists().where(
        Attempt.provider_sid == StatusEvent.provider_sid, Attempt.provider == StatusEvent.provider
    )
    orphans = select(func.count()).select_from(StatusEvent).where(StatusEvent.message_id.is_(None))
    return _count(orphans.where(StatusEvent.received_at < before, bound))


def callbacks_missed() -> int:
    """Count the statuses that we had to ask for and that no callback has told since."""
    told, asked = aliased(StatusEvent), StatusEvent
    heard = exists().where(
        told.message_id == asked.message_id,
        told.status == asked.status,
        told.source == Source.CALLBACK,
    )
    missed = select(asked.message_id, asked.status).where(
        asked.source == Source.RECONCILIATION,
        asked.attempt_id.is_not(None),
        asked.status.in_([*FINAL, Status.SENT]),
        ~heard,
    )
    return _count(select(func.count()).select_from(missed.distinct().subquery()))


def set_aside() -> int:
    """Count the dead letters."""
    return _count(select(func.count()).select_from(DeadLetter))


def _count(query: Select[int]) -> int:
    return db.session.scalar(query) or 0
