"""Queries on opt-outs."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, and_, case, delete, func, or_, select

from service.database import db
from service.models import Attempt, Message, OptOut
from service.providers.base import Sender
from service.queries.dialect import any_of, insert_all
from service.queries.redaction import PSEUDONYM


class Pair(NamedTuple):
    """A recipient and a sender at one provider."""

    to: str
    sender: str
    provider: str


class Change(NamedTuple):
    """The begin or the end of an opt-out, who made it and when."""

    pair: Pair
    begins: bool
    at: datetime
    reason: str
    changed_by: str
    error_code: str | None = None


# An opt-out from a Messaging Service covers all of its numbers, also where a message names one.
_SENDER = func.coalesce(Message.messaging_service_sid, Message.sender)


# A delivery disproves only what a provider's refusal told: a message can pass a STOP on its way.
_LEARNED = and_(OptOut.active, OptOut.reason == "provider")


def pair_of(message: Message) -> Pair:
    """Return the key of an opt-out from this message's sender."""
    sender = Sender(message.sender, message.messaging_service_sid)
    return Pair(message.to, sender.key, message.provider)


def by_recipient(addresses: Collection[str]) -> dict[Pair, OptOut]:
    """Return the opt-outs of these recipients."""
    query = select(OptOut).where(any_of(OptOut.to, addresses), OptOut.active)
    rows = db.session.scalars(query)
    return {Pair(row.to, row.sender, row.provider): row for row in rows}


def pairs(attempt_ids: Collection[UUID]) -> dict[UUID, Pair]:
    """Return recipient and sender of these attempts, without erased recipients."""
    query = (
        select(Attempt.id, Message.to, func.coalesce(_SENDER, ""), Message.provider)
        .join(Message, Message.id == Attempt.message_id)
        .where(any_of(Attempt.id, attempt_ids), Message.to.not_like(f"{PSEUDONYM}%"))
    )
    return {row[0]: Pair(*row[1:]) for row in db.session.execute(query)}


def change(changes: Iterable[Change]) -> None:
    """Begin and end opt-outs, unless a later change of the pair is known. At one time, begin."""
    latest = dict[Pair, Change]()
    for each in changes:
        latest[each.pair] = max(
            each, latest.get(each.pair, each), key=lambda change: (change.at, change.begins)
        )
    # One order everywhere, so that two transactions cannot deadlock.
    rows = [_row(latest[pair]) for pair in sorted(latest)]
    if rows:
        insert_all(cast(Table, OptOut.__table__), rows, _keep_latest)


def _row(change: Change) -> dict[str, Any]:
    return {
        **change.pair._asdict(),
        "active": change.begins,
        "since": change.at,
        "reason": change.reason,
        "changed_by": change.changed_by,
        "error_code": change.error_code,
    }


def _keep_latest(statement: Any) -> Any:
    new = statement.excluded
    is_later = or_(new.since > OptOut.since, and_(new.since == OptOut.since, new.active))
    changed = ("active", "since", "reason", "changed_by", "error_code")
    return statement.on_conflict_do_update(
        index_elements=[OptOut.to, OptOut.sender, OptOut.provider],
        set_={name: new[name] for name in changed},
        where=is_later,
    )


def delete_contradicted(attempt_ids: Collection[UUID]) -> int:
    """Delete opt-outs of pairs with a delivered attempt that was sent after them; return how many.

    A message that was sent before the opt-out and delivered late proves nothing.
    """
    sent = case((Message.send_at > Attempt.started_at, Message.send_at), else_=Attempt.started_at)
    query = (
        select(OptOut)
        .join(
            Message,
            and_(
                Message.to == OptOut.to,
                OptOut.sender == _SENDER,
                Message.provider == OptOut.provider,
            ),
        )
        .join(Attempt, Attempt.message_id == Message.id)
        .where(any_of(Attempt.id, attempt_ids), sent > OptOut.since, _LEARNED)
        .order_by(OptOut.to, OptOut.sender, OptOut.provider)
        .with_for_update(of=OptOut)
    )
    contradicted = set(db.session.scalars(query))
    for opt_out in contradicted:
        db.session.delete(opt_out)
    return len(contradicted)


def page(limit: int, addresses: Collection[str] | None = None) -> Sequence[OptOut]:
    """Return opt-outs by recipient and sender: all, or those of these recipients."""
    query = select(OptOut).where(OptOut.active)
    query = query.order_by(OptOut.to, OptOut.sender, OptOut.provider).limit(limit)
    if addresses is not None:
        query = query.where(any_of(OptOut.to, addresses))
    return db.session.scalars(query).all()


def remove(addresses: Collection[str], sender: str | None = None) -> int:
    """Delete the opt-outs of these recipients, from every sender or from one; return how many."""
    statement = delete(OptOut).where(any_of(OptOut.to, addresses)).returning(OptOut.to)
    if sender is not None:
        statement = statement.where(OptOut.sender == sender)
    return len(db.session.scalars(statement).all())
