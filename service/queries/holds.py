"""Queries of holds."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select, text, update

from service.database import db
from service.domain.scope import HOLDING, HoldKind
from service.models import Hold, Message
from service.queries.dialect import any_of, insert_into

_Key = tuple[str, str, str, str]  # scope, provider, account, value
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


def count_active() -> dict[tuple[str, str, str], int]:
    """Return how many holds are active, by kind, scope and provider."""
    labels = (Hold.kind, Hold.scope, Hold.provider)
    query = select(*labels, func.count()).where(Hold.ended_at.is_(None), Hold.released_at.is_(None))
    return {(row[0], row[1], row[2]): row[3] for row in db.session.execute(query.group_by(*labels))}


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


def released(hold_id: int, now: datetime) -> None:
    """Note that all messages of a hold are due again, unless some were locked meanwhile."""
    waits = exists().where(Message.hold_id == hold_id)
    statement = update(Hold).where(Hold.id == hold_id, ~waits).values(released_at=now)
    db.session.execute(statement.execution_options(synchronize_session=False))
