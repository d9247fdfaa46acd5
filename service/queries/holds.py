"""Queries of holds."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update

from service.database import db
from service.domain.scope import HoldKind
from service.domain.status import Status
from service.models import Hold, Message
from service.queries.dialect import insert_into


def unreleased() -> Sequence[Hold]:
    """Return the active holds, and the ended ones whose messages are not all due again."""
    query = select(Hold).where(Hold.released_at.is_(None)).order_by(Hold.id)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def active(key: tuple[str, str, str, str], kind: HoldKind) -> Hold | None:
    """Return the active hold of a scope, locked."""
    scope, provider, account, value = key
    query = select(Hold).where(
        Hold.scope == scope,
        Hold.provider == provider,
        Hold.account == account,
        Hold.value == value,
        Hold.kind == kind,
        Hold.ended_at.is_(None),
    )
    return db.session.scalars(query.with_for_update()).one_or_none()


def open_hold(
    key: tuple[str, str, str, str],
    kind: HoldKind,
    code: str | None,
    reason: str,
    now: datetime,
    **columns: Any,
) -> bool:
    """Open a hold, unless the same is active; return whether it is new."""
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
    return bool(db.session.execute(statement.values(row)).rowcount)  # type: ignore[attr-defined]


def end(ids: Collection[int], now: datetime, by: str | None = None) -> int:
    """End holds; return how many were active. Their messages are released afterwards."""
    statement = update(Hold).where(Hold.id.in_(ids), Hold.ended_at.is_(None))
    ended = db.session.execute(statement.values(ended_at=now, ended_by=by))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def take_probe(hold_id: int, now: datetime, next_probe: datetime) -> bool:
    """Postpone the next probe; return whether this call did, and no other."""
    statement = (
        update(Hold)
        .where(Hold.id == hold_id, Hold.ended_at.is_(None), Hold.probe_at <= now)
        .values(probe_at=next_probe, probes=Hold.probes + 1)
        .execution_options(synchronize_session=False)
    )
    return bool(db.session.execute(statement).rowcount)  # type: ignore[attr-defined]


def released(hold_id: int, now: datetime) -> None:
    """Note that all messages of a hold are due again."""
    db.session.execute(update(Hold).where(Hold.id == hold_id).values(released_at=now))


def park(message_ids: Collection[UUID], hold_id: int) -> None:
    """Let claimed messages wait for a hold: each until its deadline, without an attempt."""
    db.session.execute(
        update(Message)
        .where(Message.id.in_(message_ids), Message.status == Status.SUBMITTING)
        .values(
            status=Status.PENDING,
            hold_id=hold_id,
            due_at=Message.expires_at,
            attempts=Message.attempts - 1,
            claimed_until=None,
            check_at=None,
            submitted_at=None,
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
    statement = update(Message).where(Message.id.in_(ids)).values(hold_id=None, due_at=now)
    db.session.execute(statement.execution_options(synchronize_session=False))
    return len(ids)
