"""Queries for redaction and erasure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    LargeBinary,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from service.database import db
from service.models import Attempt, Client, Message, StatusEvent
from service.queries.dialect import any_of, is_postgresql, json_text, sent_rows

# Prefix of the pseudonym that replaces an erased number.
PSEUDONYM: Final = "forgotten:"

_REDACTED: Final[Mapping[str, TypeEngine[Any]]] = {
    "key": LargeBinary(),
    "identity": LargeBinary(),
    "raw": JSON(),
}
_ENDED: Final = or_(Message.final_at.is_not(None), Message.unknown_since.is_not(None))


def messages_to_redact(before: datetime, limit: int) -> list[UUID]:
    """Return unredacted messages that ended by this time; lock them, skip locked ones."""
    ids = list(db.session.scalars(_unredacted(Message.final_at, before).limit(limit)))
    if len(ids) < limit:
        unknown = _unredacted(Message.unknown_since, before).limit(limit - len(ids))
        ids += db.session.scalars(unknown)
    return ids


def _unredacted(ended_at: InstrumentedAttribute[datetime | None], before: datetime) -> Select[UUID]:
    # The conditions repeat those of the partial indexes.
    unredacted = select(Message.id).where(
        ended_at.is_not(None), Message.redacted_at.is_(None), ended_at <= before
    )
    return unredacted.order_by(ended_at).with_for_update(skip_locked=True)


def marked_messages(limit: int) -> list[UUID]:
    """Return ended messages that are marked for erasure; lock them, skip locked ones."""
    query = select(Message.id).where(Message.forget_as.is_not(None), _ENDED)
    query = query.order_by(Message.id).limit(limit).with_for_update(skip_locked=True)
    return list(db.session.scalars(query))


def redact(ids: Sequence[UUID], now: datetime) -> None:
    """Clear text, media and error texts of messages, and the provider's answers."""
    if not ids:
        return
    _update(
        any_of(Message.id, ids),
        body=None,
        media_urls=null(),
        content_variables=null(),
        error_message=None,
        redacted_at=func.coalesce(Message.redacted_at, now),
    )
    db.session.execute(
        update(Attempt).where(any_of(Attempt.message_id, ids)).values(answer_text=None)
    )


def events_of(ids: Sequence[UUID]) -> Sequence[StatusEvent]:
    """Return the ledgers of these messages."""
    if not ids:
        return []
    return db.session.scalars(select(StatusEvent).where(any_of(StatusEvent.message_id, ids))).all()


def redact_events(rows: Sequence[Mapping[str, Any]]) -> None:
    """Set `identity` and `raw` of events, and clear the error message.

    `key` is the identity before: it finds the partition.
    """
    if not rows:
        return
    table = cast(Table, StatusEvent.__table__)
    cleared = update(table).values(error_message=None)
    if is_postgresql():
        new = sent_rows("redacted", _REDACTED).c
        cleared = cleared.values(identity=new.identity, raw=new.raw)
        statement, sent = cleared.where(table.c.identity == new.key), {"rows": json_text(rows)}
        db.session.connection().execute(statement, sent)
    else:
        by_key = cleared.where(table.c.identity == bindparam("key"))
        db.session.connection().execute(by_key, list(rows))


def with_idempotency_key(ids: Sequence[UUID]) -> Sequence[Row[UUID, str, str | None]]:
    """Return id, recipient and idempotency key of those of these messages that have a key."""
    columns = select(Message.id, Message.to, Message.idempotency_key)
    return db.session.execute(
        columns.where(any_of(Message.id, ids), Message.idempotency_key.is_not(None))
    ).all()


def clear_idempotency_keys(ids: Sequence[UUID]) -> None:
    """Clear the idempotency keys of messages."""
    if ids:
        _update(any_of(Message.id, ids), idempotency_key=None)


def messages_to(addresses: Sequence[str]) -> Sequence[UUID]:
    """Return all messages to these addresses, in the order of their ids.

    One statement: pages would read again what the pages before them have read.
    """
    return db.session.scalars(_to(addresses, Message.id).order_by(Message.id)).all()


def lock(ids: Sequence[UUID]) -> Sequence[Row[UUID, bool]]:
    """Lock messages in the order of their ids; return their ids and whether they ended."""
    query = select(Message.id, _ENDED.label("ended")).where(any_of(Message.id, ids))
    return db.session.execute(query.order_by(Message.id).with_for_update()).all()


def mark(ids: Sequence[UUID], pseudonym: str) -> None:
    """Mark messages for erasure, unless they are marked or erased already."""
    unmarked = Message.forget_as.is_(None), Message.to.not_like(f"{PSEUDONYM}%")
    _update(and_(any_of(Message.id, ids), *unmarked), forget_as=pseudonym)


def erase_recipient(ids: Sequence[UUID]) -> None:
    """Replace the number in marked messages, and clear reference, metadata and request digest."""
    if ids:
        _update(
            any_of(Message.id, ids),
            to=Message.forget_as,
            forget_as=None,
            reference=None,
            details={},
            request_digest=None,
        )


def under_way(addresses: Sequence[str], limit: int) -> list[tuple[UUID, str]]:
    """Return marked messages to these addresses that have not ended, with their status."""
    query = _to(addresses, Message.id, Message.status).where(Message.forget_as.is_not(None))
    rows = db.session.execute(query.order_by(Message.id).limit(limit))
    return [(row.id, row.status) for row in rows]


def _to(addresses: Sequence[str], *columns: Any) -> Select[Any]:
    # The index of recipients begins with the client.
    every_client = Message.client_id.in_(select(Client.id))
    return select(*columns).where(every_client, any_of(Message.to, addresses))


def _update(condition: ColumnElement[bool], **columns: Any) -> None:
    statement = update(Message).where(condition).values(**columns)
    db.session.execute(statement.execution_options(synchronize_session=False))
