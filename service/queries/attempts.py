"""Queries on attempts: their calls, and the SIDs bound to them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, func, or_, select
from sqlalchemy.orm import aliased

from service.database import db
from service.models import Attempt, Message, StatusEvent
from service.queries.dialect import any_of, insert_all, update_each


class AttemptRef(NamedTuple):
    """An attempt, as far as recording needs it. Without `id` no attempt was made."""

    id: UUID | None
    message_id: UUID
    number: int
    provider_sid: str | None = None


# The columns of an AttemptRef.
REFERENCE: Final = select(Attempt.id, Attempt.message_id, Attempt.number, Attempt.provider_sid)


def by_sids(sids: Collection[tuple[str, str]]) -> dict[tuple[str, str], AttemptRef]:
    """Return the attempts to which these (provider, SID) pairs are bound."""
    if not sids:
        return {}
    named = any_of(Attempt.provider_sid, {sid for _, sid in sids})
    rows = db.session.execute(REFERENCE.add_columns(Attempt.provider).where(named))
    return {(row.provider, row.provider_sid): reference(row) for row in rows}


def reference(row: Any) -> AttemptRef:
    """Return the attempt in a row of REFERENCE.

    A report about an attempt that certainly had no effect is recorded, but as about none.
    """
    return AttemptRef(row.id, row.message_id, max(row.number, 0), row.provider_sid)


def bind_sids(sids: Mapping[UUID, str]) -> None:
    """Store the SID that the provider gave to each attempt; the least, if it gave two."""
    table = cast(Table, Attempt.__table__)
    rows = [{"key": attempt, "provider_sid": sid} for attempt, sid in sorted(sids.items())]
    update_each(table, rows, _unless_less)


def _unless_less(new: Mapping[str, Any]) -> ColumnElement[bool]:
    old = cast(Table, Attempt.__table__).c.provider_sid
    return or_(old.is_(None), old > new["provider_sid"])


def with_orphans(after: int, limit: int) -> tuple[dict[tuple[str, str], AttemptRef], int]:
    """Return the attempts whose (provider, SID) an orphan names.

    Reads `limit` orphans after the event number `after`. Also returns the number of the last
    orphan that was read, or 0 at the end.
    """
    orphans = select(StatusEvent.id, StatusEvent.provider, StatusEvent.provider_sid)
    orphans = orphans.where(StatusEvent.message_id.is_(None), StatusEvent.id > after)
    rows = db.session.execute(orphans.order_by(StatusEvent.id).limit(limit)).all()
    named = {(row.provider, row.provider_sid) for row in rows if row.provider_sid}
    owners = by_sids(named)
    owners = {key: owner for key, owner in owners.items() if key in named}
    return owners, rows[-1].id if len(rows) == limit else 0


def begin(rows: Sequence[Mapping[str, Any]]) -> None:
    """Store attempts before their calls are made."""
    if rows:
        insert_all(cast(Table, Attempt.__table__), rows)


def without_outcome(message_ids: Collection[UUID]) -> set[UUID]:
    """Return the messages with an attempt that may have been sent.

    An attempt without a certain answer that was reported as failed later is certain, too.
    """
    if not message_ids:
        return set()
    open_ended = or_(Attempt.answer.is_(None), Attempt.answer == "unknown")
    failed = Message.failed_in.bitwise_rshift(Attempt.number).bitwise_and(1) == 1
    query = (
        select(Attempt.message_id)
        .join(Message, Message.id == Attempt.message_id)
        .where(any_of(Attempt.message_id, message_ids), open_ended, ~failed)
    )
    return set(db.session.scalars(query))


def unanswered(attempt_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return which of these attempts have no answer yet.

    Each with the number that it gets if it had no effect: the next negative one of its message.
    """
    if not attempt_ids:
        return {}
    other = aliased(Attempt)
    least = select(func.min(other.number)).where(other.message_id == Attempt.message_id)
    query = select(Attempt.id, least.scalar_subquery())
    query = query.where(any_of(Attempt.id, attempt_ids), Attempt.answer.is_(None))
    return {attempt_id: min(number, 0) - 1 for attempt_id, number in db.session.execute(query)}


def answer(rows: Sequence[Mapping[str, Any]]) -> None:
    """Store how calls ended, each once; `key` is the id of the attempt."""
    update_each(cast(Table, Attempt.__table__), rows, _unless_answered)


def _unless_answered(_: Mapping[str, Any]) -> ColumnElement[bool]:
    return cast(Table, Attempt.__table__).c.answer.is_(None)
