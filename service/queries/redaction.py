"""Queries of redaction: which messages have ended and still hold what was written, and its end."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Table, and_, func, null, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from service.database import db
from service.models import Attempt, Client, Message, StatusEvent
from service.queries.dialect import among, update_each

# Before the name that stands in place of a number that was forgotten.
FORGOTTEN: Final = "forgotten:"

_ENDED: Final = or_(Message.final_at.is_not(None), Message.unknown_since.is_not(None))


def ended(before: datetime, limit: int) -> list[UUID]:
    """Return messages that ended before then and are not redacted, locked, past locked ones."""
    ids = list(db.session.scalars(_unredacted(Message.final_at, before).limit(limit)))
    if len(ids) < limit:
        silent = _unredacted(Message.unknown_since, before).limit(limit - len(ids))
        ids += db.session.scalars(silent)
    return ids


def to_forget(limit: int) -> list[UUID]:
    """Return messages that are to be forgotten and have ended, locked, past locked ones."""
    query = select(Message.id).where(Message.forget_as.is_not(None), _ENDED)
    query = query.order_by(Message.id).limit(limit).with_for_update(skip_locked=True)
    return list(db.session.scalars(query))


def redact(ids: Sequence[UUID], now: datetime) -> None:
    """Take text, media and the provider's words out of messages and their attempts."""
    if not ids:
        return
    _write(
        among(Message.id, ids),
        body=None,
        media_urls=null(),
        content_variables=null(),
        error_message=None,
        redacted_at=func.coalesce(Message.redacted_at, now),
    )
    db.session.execute(
        update(Attempt).where(among(Attempt.message_id, ids)).values(answer_text=None)
    )


def events_of(ids: Sequence[UUID]) -> Sequence[StatusEvent]:
    """Return the ledgers of these messages."""
    if not ids:
        return []
    return db.session.scalars(select(StatusEvent).where(among(StatusEvent.message_id, ids))).all()


def write_events(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write columns over events; `key` is the event's number."""
    if rows:
        update_each(cast(Table, StatusEvent.__table__), rows)


def with_keys(ids: Sequence[UUID]) -> Sequence[Row[UUID, str, str | None]]:
    """Return id, recipient and idempotency key of those of these messages that have a key."""
    what = select(Message.id, Message.to, Message.idempotency_key)
    return db.session.execute(
        what.where(among(Message.id, ids), Message.idempotency_key.is_not(None))
    ).all()


def drop_keys(ids: Sequence[UUID]) -> None:
    """Drop the idempotency keys of messages."""
    if ids:
        _write(among(Message.id, ids), idempotency_key=None)


def mark(numbers: Sequence[str], name: str, limit: int) -> tuple[list[UUID], int]:
    """Mark messages to these numbers to be forgotten under a name.

    Returns those that have ended, locked, and how many were marked.
    """
    query = (
        select(Message.id, _ENDED)
        .where(
            # The index begins with the client.
            Message.client_id.in_(select(Client.id)),
            among(Message.to, numbers),
            Message.forget_as.is_(None),
        )
        .order_by(Message.id)
        .limit(limit)
        .with_for_update(of=Message)
    )
    rows = db.session.execute(query).all()
    if rows:
        _write(among(Message.id, [row[0] for row in rows]), forget_as=name)
    return [row[0] for row in rows if row[1]], len(rows)


def forget(ids: Sequence[UUID]) -> None:
    """Replace the number in marked messages, and drop what their clients noted beside it."""
    if ids:
        _write(
            among(Message.id, ids),
            to=Message.forget_as,
            forget_as=None,
            reference=None,
            details={},
            request_digest=None,
        )


def still_to_forget(numbers: Sequence[str], limit: int) -> list[tuple[UUID, str]]:
    """Return messages to these numbers that are under way, with their status."""
    query = select(Message.id, Message.status).where(
        Message.forget_as.is_not(None), among(Message.to, numbers)
    )
    rows = db.session.execute(query.order_by(Message.id).limit(limit))
    return [(row[0], row[1]) for row in rows]


def mark_these(ids: Sequence[UUID], name: str) -> None:
    """Mark messages to be forgotten under a name, unless they are marked already."""
    unmarked = Message.forget_as.is_(None), Message.to.not_like(f"{FORGOTTEN}%")
    _write(and_(among(Message.id, ids), *unmarked), forget_as=name)


def _unredacted(moment: InstrumentedAttribute[datetime | None], before: datetime) -> Select[UUID]:
    # In the words of the partial indexes.
    found = select(Message.id).where(
        moment.is_not(None), Message.redacted_at.is_(None), moment <= before
    )
    return found.order_by(moment).with_for_update(skip_locked=True)


def _write(which: ColumnElement[bool], **columns: Any) -> None:
    db.session.execute(
        update(Message).where(which).values(**columns).execution_options(synchronize_session=False)
    )
