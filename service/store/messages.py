"""Queries of sending: insert, claim, and what is due. Every move is guarded by where it starts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, update

from service.domain.status import Status
from service.extensions import db
from service.models import Attempt, Message
from service.store.dialect import insert_into

# Who wrote the time down may have had another clock than who reads it.
_SKEW = timedelta(milliseconds=250)


def insert(rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Insert messages; return the ids of those whose idempotency key was not yet taken."""
    statement = (
        insert_into(Message)
        .on_conflict_do_nothing(index_elements=[Message.client_id, Message.idempotency_key])
        .returning(Message.id)
    )
    return set(db.session.scalars(statement, list(rows)))


def by_key(client_id: int, keys: Collection[str]) -> dict[str, Message]:
    """Return this client's messages with these idempotency keys."""
    if not keys:
        return {}
    query = select(Message).where(Message.client_id == client_id, Message.idempotency_key.in_(keys))
    return {message.idempotency_key or "": message for message in db.session.scalars(query)}


def claim(message_id: UUID, now: datetime, until: datetime, check_at: datetime) -> Message | None:
    """Claim a message for one attempt; None when it is not due, taken, or no longer pending."""
    statement = (
        update(Message)
        .where(
            Message.id == message_id,
            Message.status == Status.PENDING,
            Message.next_attempt_at <= now + _SKEW,
        )
        .values(
            status=Status.SUBMITTING,
            claimed_until=until,
            check_at=check_at,
            submitted_at=now,
            updated_at=now,
            attempts=Message.attempts + 1,
        )
        .returning(Message)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return db.session.scalars(statement).one_or_none()


def leave_submitting(message_id: UUID, attempt: int, **columns: Any) -> None:
    """Move a claimed message on, unless a report about it came first or another attempt began.

    Also from doubt: who comes late and knows better, ends it.
    """
    db.session.execute(
        update(Message)
        .where(
            Message.id == message_id,
            Message.status.in_([Status.SUBMITTING, Status.IN_DOUBT]),
            Message.attempts == attempt,
        )
        .values({"claimed_until": None, "check_at": None, **columns})
    )


def take_due(now: datetime, again: datetime, limit: int) -> list[UUID]:
    """Return pending messages that are to be enqueued now, and put off the next time."""
    due = (
        select(Message.id)
        .where(Message.status == Status.PENDING, Message.enqueue_at <= now)
        .order_by(Message.enqueue_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(db.session.scalars(due))
    db.session.execute(update(Message).where(Message.id.in_(ids)).values(enqueue_at=again))
    return ids


def extend_claim(message_id: UUID, attempt: int, until: datetime) -> bool:
    """Extend a claim; False when it is no longer ours."""
    statement = (
        update(Message)
        .where(
            Message.id == message_id,
            Message.status == Status.SUBMITTING,
            Message.attempts == attempt,
        )
        .values(claimed_until=until)
        .returning(Message.id)
    )
    return db.session.scalars(statement).one_or_none() is not None


def expired_claims(now: datetime, limit: int) -> list[UUID]:
    """Return messages whose worker has not been heard of since its lease ended, locked."""
    query = (
        select(Message.id)
        .where(Message.status == Status.SUBMITTING, Message.claimed_until < now)
        .order_by(Message.claimed_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(db.session.scalars(query))


def doubt(ids: Collection[UUID], now: datetime, check_at: datetime) -> set[UUID]:
    """Put those of these claimed messages in doubt whose attempt had begun; return them."""
    begun = exists().where(Attempt.message_id == Message.id, Attempt.number == Message.attempts)
    statement = (
        update(Message)
        .where(Message.id.in_(ids), begun)
        .values(status=Status.IN_DOUBT, claimed_until=None, updated_at=now, check_at=check_at)
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return set(db.session.scalars(statement))


def reopen(ids: Collection[UUID], now: datetime) -> None:
    """Make claimed messages pending again, due at once."""
    db.session.execute(
        update(Message)
        .where(Message.id.in_(ids))
        .values(
            status=Status.PENDING,
            claimed_until=None,
            check_at=None,
            submitted_at=None,
            next_attempt_at=now,
            enqueue_at=now,
            updated_at=now,
        )
    )
