"""Queries of holds."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, literal, select, text, union_all, update

from service.database import db
from service.domain.scope import HOLDING, HoldKind
from service.domain.status import SUCCESSES, Status
from service.models import Attempt, Hold, Message
from service.queries.dialect import any_of, insert_into

_Key = tuple[str, str, str, str]  # scope, provider, account, value
# A message without delivery reports stays sent. A failure would have been reported by then.
_ARRIVED_AFTER: Final = timedelta(seconds=60)
# Every claim reads all of them.
MAX_HOLDS: Final = 1_000


def unreleased() -> Sequence[Hold]:
    """Return the active holds, and the ended ones whose messages are not all due again."""
    query = select(Hold).where(Hold.released_at.is_(None)).order_by(Hold.id).limit(2 * MAX_HOLDS)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def active(key: _Key, kind: HoldKind, *, lock: bool = False) -> Hold | None:
    """Return the active hold of a scope."""
    query = select(Hold).where(*_is(key, kind), Hold.ended_at.is_(None))
    query = query.execution_options(populate_existing=True)
    return db.session.scalars(query.with_for_update() if lock else query).one_or_none()


def last_end(key: _Key, kind: HoldKind) -> datetime | None:
    """Return when the last hold of a scope ended."""
    return db.session.scalar(select(func.max(Hold.ended_at)).where(*_is(key, kind)))


def _is(key: _Key, kind: HoldKind) -> list[ColumnElement[bool]]:
    names = ("scope", "provider", "account", "value")
    equal = [getattr(Hold, name) == value for name, value in zip(names, key, strict=True)]
    return [*equal, Hold.kind == kind]


class Sending(NamedTuple):
    """An attempt, and what holds can be about, of its message."""

    attempt_id: UUID
    message_id: UUID
    provider: str
    account: str
    started_at: datetime
    sender: str | None
    messaging_service_sid: str | None
    to: str
    is_current: bool  # no other provider took the message over since


def sendings(attempt_ids: Collection[UUID]) -> list[Sending]:
    """Return attempts with the senders and recipients of their messages."""
    query = select(
        Attempt.id,
        Message.id,
        Attempt.provider,
        Attempt.account,
        Attempt.started_at,
        Message.sender,
        Message.messaging_service_sid,
        Message.to,
        (Attempt.provider == Message.provider) & (Attempt.account == Message.account),
    ).join(Message, Message.id == Attempt.message_id)
    rows = db.session.execute(query.where(any_of(Attempt.id, attempt_ids)))
    return [Sending(*row) for row in rows]


def has_room() -> bool:
    """Tell whether another hold may be opened; at the limit, delete the oldest suspicion."""
    rows = select(Hold.id).where(Hold.released_at.is_(None)).limit(MAX_HOLDS)
    if len(db.session.scalars(rows).all()) < MAX_HOLDS:
        return True
    oldest = select(func.min(Hold.id)).where(
        Hold.kind == HoldKind.SUSPECTED, Hold.released_at.is_(None)
    )
    deleted = db.session.execute(delete(Hold).where(Hold.id == oldest.scalar_subquery()))
    return bool(deleted.rowcount)  # type: ignore[attr-defined]


def open_hold(
    key: _Key,
    kind: HoldKind,
    code: str | None,
    reason: str,
    now: datetime,
    **columns: Any,
) -> Hold | None:
    """Open a hold and return it; None if the same is active."""
    scope, provider, account, value = key
    statement = insert_into(Hold).on_conflict_do_nothing(
        index_elements=[Hold.scope, Hold.provider, Hold.account, Hold.value, Hold.kind],
        index_where=text("ended_at IS NULL"),
    )
    row = {
        "scope": scope,
        "provider": provider,
        "account": account,
        "value": value,
        "kind": kind,
        "code": code,
        "reason": reason,
        "started_at": now,
        "suspects": [],
        "probes": 0,
        **columns,
    }
    return db.session.scalars(statement.values(row).returning(Hold)).one_or_none()


def named(hold_id: int) -> Hold | None:
    """Return a hold, also an ended one."""
    return db.session.get(Hold, hold_id, populate_existing=True)


def by_ids(ids: Collection[int]) -> dict[int, Hold]:
    """Return holds by their ids; without ids, make no query."""
    if not ids:
        return {}
    return {hold.id: hold for hold in db.session.scalars(select(Hold).where(any_of(Hold.id, ids)))}


def ended_since(since: datetime, limit: int) -> Sequence[Hold]:
    """Return holds that ended, the latest first."""
    query = select(Hold).where(Hold.ended_at >= since)
    return db.session.scalars(query.order_by(Hold.ended_at.desc()).limit(limit)).all()


def waiting(ids: Collection[int], limit: int) -> dict[int, int]:
    """Return how many messages wait for each hold, at most `limit`."""
    if not ids:
        return {}
    counts = [
        select(literal(hold_id), func.count()).select_from(
            select(Message.id).where(Message.hold_id == hold_id).limit(limit).subquery()
        )
        for hold_id in ids
    ]
    return {row[0]: row[1] for row in db.session.execute(union_all(*counts))}


def count_active() -> dict[tuple[str, str, str], int]:
    """Return how many holds are active, by kind, scope and provider."""
    labels = (Hold.kind, Hold.scope, Hold.provider)
    query = select(*labels, func.count()).where(Hold.ended_at.is_(None), Hold.released_at.is_(None))
    return {(row[0], row[1], row[2]): row[3] for row in db.session.execute(query.group_by(*labels))}


def count_held(limit: int) -> int:
    """Return how many messages wait for holds, at most `limit`."""
    held = select(Message.id).where(Message.hold_id.is_not(None)).limit(limit).subquery()
    return db.session.scalar(select(func.count()).select_from(held)) or 0


def set_probe(hold_id: int, probe_at: datetime) -> None:
    """Set the time of the next probe."""
    db.session.execute(update(Hold).where(Hold.id == hold_id).values(probe_at=probe_at))


def end(ids: Collection[int], now: datetime, by: str | None = None) -> list[Hold]:
    """End holds; return those that held messages, which are released afterwards.

    The others are deleted: an account that accepts only some messages opens one every second.
    """
    # Waits for the transactions that park messages (`lock_active`).
    query = select(Hold).where(Hold.id.in_(ids), Hold.ended_at.is_(None))
    query = query.order_by(Hold.id).with_for_update()
    ended = list[Hold]()
    for hold in db.session.scalars(query.execution_options(populate_existing=True)):
        if hold.kind in HOLDING:
            hold.ended_at, hold.ended_by = now, by
            ended.append(hold)
        else:
            db.session.delete(hold)
    db.session.flush()
    return ended


def lock_active(ids: Collection[int]) -> set[int]:
    """Return which of these holds are active, and prevent their end until the commit.

    Holds that another transaction is ending are skipped: waiting for it could deadlock.
    """
    query = select(Hold.id).where(Hold.id.in_(ids), Hold.ended_at.is_(None))
    # FOR KEY SHARE: it does not conflict with a probe that another claim takes.
    locked = query.with_for_update(read=True, key_share=True, skip_locked=True)
    return set(db.session.scalars(locked))


def take_probe(hold_id: int, now: datetime, next_probe: datetime) -> bool:
    """Postpone the next probe; return whether this call did, and no other.

    A claim that waited for another here could deadlock with it.
    """
    free = select(Hold.id).where(Hold.id == hold_id)
    free = free.with_for_update(key_share=True, skip_locked=True)
    statement = (
        update(Hold)
        .where(Hold.id.in_(free), Hold.ended_at.is_(None), Hold.probe_at <= now)
        .values(probe_at=next_probe, probes=Hold.probes + 1)
        .execution_options(synchronize_session=False)
    )
    return bool(db.session.execute(statement).rowcount)  # type: ignore[attr-defined]


def note_probes(messages: Mapping[int, UUID]) -> set[int]:
    """Note accepted probes of holds that delivery reports opened; return these holds."""
    query = select(Hold.id).where(Hold.id.in_(messages), Hold.reported, Hold.ended_at.is_(None))
    reported = set(db.session.scalars(query))
    for hold_id in sorted(reported):
        noted = update(Hold).where(Hold.id == hold_id).values(probe_message=messages[hold_id])
        db.session.execute(noted.execution_options(synchronize_session=False))
    return reported


def arrived(message_id: UUID, now: datetime) -> bool:
    """Tell whether a message reached its recipient, or probably did."""
    query = select(Message.status, Message.updated_at).where(Message.id == message_id)
    row = db.session.execute(query).one_or_none()
    if row is None:
        return False
    sent_before = row.updated_at <= now - _ARRIVED_AFTER
    return row.status in SUCCESSES or (row.status is Status.SENT and sent_before)


def released(hold_id: int, now: datetime) -> None:
    """Note that all messages of a hold are due again, unless some were locked meanwhile."""
    waits = exists().where(Message.hold_id == hold_id)
    statement = update(Hold).where(Hold.id == hold_id, ~waits).values(released_at=now)
    db.session.execute(statement.execution_options(synchronize_session=False))


def park(message_ids: Collection[UUID], hold_id: int) -> None:
    """Let claimed messages wait for a hold: each until its deadline, without an attempt."""
    _unclaim(message_ids, hold_id=hold_id, due_at=Message.expires_at)


def put_back(message_ids: Collection[UUID], now: datetime) -> None:
    """Make claimed messages due again, without an attempt."""
    _unclaim(message_ids, due_at=now)


def _unclaim(message_ids: Collection[UUID], **columns: Any) -> None:
    db.session.execute(
        update(Message)
        .where(any_of(Message.id, message_ids), Message.status == Status.SUBMITTING)
        .values(
            status=Status.PENDING,
            attempts=Message.attempts - 1,
            claimed_until=None,
            check_at=None,
            submitted_at=None,
            **columns,
        )
        .execution_options(synchronize_session=False)
    )


def make_due(hold_id: int, limit: int, now: datetime) -> int:
    """Make messages that wait for a hold due, the ones tried least first; return how many."""
    waiting = (
        select(Message.id)
        .where(Message.hold_id == hold_id, Message.status == Status.PENDING)
        .order_by(Message.tries, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = db.session.scalars(waiting).all()
    statement = update(Message).where(any_of(Message.id, ids)).values(hold_id=None, due_at=now)
    db.session.execute(statement.execution_options(synchronize_session=False))
    return len(ids)
