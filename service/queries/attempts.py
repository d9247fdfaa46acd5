"""Queries on attempts: they tell whose a report is."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, or_, select

from service.database import db
from service.models import Attempt, StatusEvent
from service.queries.dialect import any_of, insert_all, update_each


class AttemptRef(NamedTuple):
    """What recording needs to know of an attempt; without `id` none was made."""

    id: UUID | None
    message_id: UUID
    number: int
    provider_sid: str | None = None


_REF: Final = select(Attempt.id, Attempt.message_id, Attempt.number, Attempt.provider_sid)


def by_id(ids: Collection[UUID]) -> dict[UUID, AttemptRef]:
    """Return the attempts with these ids."""
    rows = db.session.execute(_REF.where(any_of(Attempt.id, ids))) if ids else ()
    return {row.id: AttemptRef(*row) for row in rows}


def by_sid(sids: Collection[tuple[str, str]]) -> dict[tuple[str, str], AttemptRef]:
    """Return the attempts to which these (provider, SID) pairs are bound."""
    if not sids:
        return {}
    named = any_of(Attempt.provider_sid, {sid for _, sid in sids})
    rows = db.session.execute(_REF.add_columns(Attempt.provider).where(named))
    return {(row.provider, row.provider_sid): AttemptRef(*row[:4]) for row in rows}


def bind_sids(sids: Mapping[UUID, str]) -> None:
    """Remember which SID the provider gave to which attempt; the least, should it give two."""
    if not sids:
        return
    table = cast(Table, Attempt.__table__)
    rows = [{"key": attempt, "provider_sid": sid} for attempt, sid in sorted(sids.items())]
    update_each(table, rows, _unless_less)


def _unless_less(new: Mapping[str, Any]) -> ColumnElement[bool]:
    old = cast(Table, Attempt.__table__).c.provider_sid
    return or_(old.is_(None), old > new["provider_sid"])


def with_orphans(after: int, limit: int) -> tuple[dict[tuple[str, str], AttemptRef], int]:
    """Return attempts whose (provider, SID) was spoken of before it was bound to them.

    Searches the `limit` oldest orphans after the event number `after`. Also returns the number of
    the last orphan it read, or 0 at the end. There may be very many orphans.
    """
    orphans = select(StatusEvent.id, StatusEvent.provider, StatusEvent.provider_sid)
    orphans = orphans.where(StatusEvent.message_id.is_(None), StatusEvent.id > after)
    rows = db.session.execute(orphans.order_by(StatusEvent.id).limit(limit)).all()
    spoken_of = {(row.provider, row.provider_sid) for row in rows if row.provider_sid}
    owners = by_sid(spoken_of)
    owners = {key: owner for key, owner in owners.items() if key in spoken_of}
    return owners, rows[-1].id if len(rows) == limit else 0


def begin(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down that calls are about to be made."""
    if rows:
        insert_all(cast(Table, Attempt.__table__), rows)


def without_outcome(message_ids: Collection[UUID]) -> set[UUID]:
    """Return those of these messages with an attempt that may have been sent."""
    if not message_ids:
        return set()
    open_ended = or_(Attempt.answer.is_(None), Attempt.answer == "unknown")
    query = select(Attempt.message_id).where(any_of(Attempt.message_id, message_ids), open_ended)
    return set(db.session.scalars(query))


def answer(rows: Sequence[Mapping[str, Any]]) -> None:
    """Note how calls ended; `key` names the attempt."""
    table = cast(Table, Attempt.__table__)
    update_each(table, rows)
