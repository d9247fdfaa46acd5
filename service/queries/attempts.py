"""Queries on attempts: which attempt a report is about."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, or_, select

from service.database import db
from service.domain.report import StatusReport
from service.models import Attempt, Message, StatusEvent
from service.queries.dialect import any_of, insert_all, update_each


class AttemptRef(NamedTuple):
    """An attempt, as far as recording needs it. Without `id` no attempt was made."""

    id: UUID | None
    message_id: UUID
    number: int
    provider_sid: str | None = None


_REF: Final = select(Attempt.id, Attempt.message_id, Attempt.number, Attempt.provider_sid)


def owners_of(reports: Sequence[StatusReport]) -> list[AttemptRef | None]:
    """Return the attempt of each report: by our id in the callback URL, else by the SID.

    A report that names a message is our own verdict, about no attempt.
    """
    by_id = _by_id({report.attempt_id for report in reports if report.attempt_id})
    sids = {
        (report.provider, report.provider_sid)
        for report in reports
        if report.provider_sid and report.attempt_id not in by_id
    }
    by_sid = by_sids(sids)

    def owner(report: StatusReport) -> AttemptRef | None:
        if report.attempt_id in by_id:
            return by_id[report.attempt_id]
        if report.message_id:
            return AttemptRef(None, report.message_id, report.attempt_number)
        return by_sid.get((report.provider, report.provider_sid or ""))

    return [owner(report) for report in reports]


def _by_id(ids: Collection[UUID]) -> dict[UUID | None, AttemptRef]:
    rows = db.session.execute(_REF.where(any_of(Attempt.id, ids))) if ids else ()
    return {row.id: _ref(row) for row in rows}


def by_sids(sids: Collection[tuple[str, str]]) -> dict[tuple[str, str], AttemptRef]:
    """Return the attempts to which these (provider, SID) pairs are bound."""
    if not sids:
        return {}
    named = any_of(Attempt.provider_sid, {sid for _, sid in sids})
    rows = db.session.execute(_REF.add_columns(Attempt.provider).where(named))
    return {(row.provider, row.provider_sid): _ref(row) for row in rows}


def _ref(row: Any) -> AttemptRef:
    # A report about an attempt that certainly had no effect is recorded, but as about none.
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


def answer(rows: Sequence[Mapping[str, Any]]) -> None:
    """Store how calls ended; `key` is the id of the attempt."""
    table = cast(Table, Attempt.__table__)
    update_each(table, rows)
