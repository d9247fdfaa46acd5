"""Queries of sending. Each update is guarded by the status that it starts from."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, func, inspect, select, update

from service.database import db
from service.domain.status import Status
from service.models import Message
from service.queries import due as turns
from service.queries.dialect import any_of, insert_all

_COLUMNS: Final = {
    attribute.key: str(attribute.columns[0].name) for attribute in inspect(Message).column_attrs
}
# As `tried_since`: the present provider has no route to the recipient, another one may have.
NO_ROUTE: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Claimed(NamedTuple):
    """A claimed message, when it was due, and the active holds in spite of which it is sent."""

    message: Message
    due_at: datetime
    holds: tuple[int, ...] = ()


def insert(rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Insert messages; return the ids of those whose idempotency key was free."""
    table = cast(Table, Message.__table__)
    named = [{_COLUMNS[name]: value for name, value in row.items()} for row in rows]
    return set(insert_all(table, named, _unless_taken).scalars())


def _unless_taken(statement: Any) -> Any:
    key = [Message.client_id, Message.idempotency_key]
    return statement.on_conflict_do_nothing(index_elements=key).returning(Message.id)


def by_key(client_id: int, keys: Collection[str]) -> dict[str, Message]:
    """Return this client's messages with these idempotency keys."""
    if not keys:
        return {}
    query = select(Message).where(Message.client_id == client_id, Message.idempotency_key.in_(keys))
    return {message.idempotency_key or "": message for message in db.session.scalars(query)}


def claim(now: datetime, limit: int, until: datetime, check_at: datetime) -> list[Claimed]:
    """Claim the next pending messages, and skip those that other workers are claiming.

    Returns the urgent ones first, then the longest due.
    """
    due = turns.next_due(now, limit)
    if not due:
        return []
    statement = (
        update(Message)
        .where(any_of(Message.id, list(due)), Message.status == Status.PENDING)
        .values(
            status=Status.SUBMITTING,
            due_at=None,
            hold_id=None,
            claimed_until=until,
            check_at=check_at,
            submitted_at=now,
            updated_at=now,
            attempts=Message.attempts + 1,
        )
        .returning(Message)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    claimed = [Claimed(message, due[message.id]) for message in db.session.scalars(statement)]
    return sorted(claimed, key=_turn)


def _turn(item: Claimed) -> tuple[int, datetime, UUID]:
    return item.message.priority, item.due_at, item.message.id


def leave_submitting(message_id: UUID, attempt: int, **columns: Any) -> bool:
    """Release the claim of an attempt, unless a report came first or another attempt began.

    Also for a message in doubt: a late answer ends the doubt. Returns whether it was released.
    """
    statement = update(Message).where(
        Message.id == message_id,
        Message.status.in_([Status.SUBMITTING, Status.IN_DOUBT]),
        Message.attempts == attempt,
    )
    values = {"claimed_until": None, "check_at": None, **columns}
    return bool(db.session.execute(statement.values(values)).rowcount)  # type: ignore[attr-defined]


def leave_untried(
    message_id: UUID,
    attempt: int,
    due_at: datetime,
    tried_since: datetime | None,
    now: datetime,
) -> bool:
    """Make a message due again whose attempt had no effect: the attempt gets no number.

    A time does not replace an earlier `tried_since`; `NO_ROUTE` and None do.
    """
    keeps = tried_since not in (None, NO_ROUTE)
    return leave_submitting(
        message_id,
        attempt,
        status=Status.PENDING,
        due_at=due_at,
        attempts=Message.attempts - 1,
        tries=Message.tries + 1,
        tried_since=func.coalesce(Message.tried_since, tried_since) if keeps else tried_since,
        submitted_at=None,
        updated_at=now,
    )


def leave_without_attempt(message_ids: Collection[UUID], **columns: Any) -> None:
    """Release claims of this transaction: messages that were not sent have made no attempt."""
    if not message_ids:
        return
    released = {"claimed_until": None, "check_at": None, "submitted_at": None}
    db.session.execute(
        update(Message)
        .where(any_of(Message.id, message_ids), Message.status == Status.SUBMITTING)
        .values({**released, "attempts": Message.attempts - 1, **columns})
        .execution_options(synchronize_session=False)
    )


def expired_claims(now: datetime, limit: int) -> list[UUID]:
    """Return claimed messages whose lease is over, locked."""
    query = (
        select(Message.id)
        .where(Message.status == Status.SUBMITTING, Message.claimed_until < now)
        .order_by(Message.claimed_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(db.session.scalars(query))


def past_deadline(now: datetime, limit: int) -> Sequence[Message]:
    """Return pending messages past their deadline, locked; skip locked ones."""
    query = (
        select(Message)
        # In the words of the partial index.
        .where(Message.expires_at.is_not(None), Message.due_at.is_not(None))
        .where(Message.expires_at <= now, Message.status == Status.PENDING)
        .order_by(Message.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return db.session.scalars(query).all()


def doubt(ids: Collection[UUID], now: datetime, check_at: datetime) -> None:
    """Put claimed messages in doubt."""
    db.session.execute(
        update(Message)
        .where(any_of(Message.id, ids))
        .values(status=Status.IN_DOUBT, claimed_until=None, updated_at=now, check_at=check_at)
    )
