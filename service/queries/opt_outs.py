"""Queries on opt-outs: whom not to ask the provider about, and who may be asked about again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, and_, case, delete, func, select

from service.database import db
from service.models import Attempt, Message, OptOut
from service.queries.dialect import among, insert_all
from service.queries.redaction import FORGOTTEN


class Pair(NamedTuple):
    """Who does not hear from whom, at which provider."""

    to: str
    sender: str
    provider: str


# A Messaging Service answers for all of its numbers, also where a message names one of them.
_SENDER = func.coalesce(Message.messaging_service_sid, Message.sender)


def pair_of(message: Message) -> Pair:
    """Return under which pair an opt-out from this message's sender is kept."""
    return Pair(message.to, message.messaging_service_sid or message.sender or "", message.provider)


def among_those(numbers: Collection[str]) -> dict[Pair, OptOut]:
    """Return the opt-outs of these recipients, by pair."""
    found = db.session.scalars(select(OptOut).where(among(OptOut.to, numbers)))
    return {Pair(one.to, one.sender, one.provider): one for one in found}


def pairs(attempt_ids: Collection[UUID]) -> dict[UUID, Pair]:
    """Return who was to hear from whom by these attempts, without those that were forgotten."""
    query = (
        select(Attempt.id, Message.to, func.coalesce(_SENDER, ""), Message.provider)
        .join(Message, Message.id == Attempt.message_id)
        .where(among(Attempt.id, attempt_ids), Message.to.not_like(f"{FORGOTTEN}%"))
    )
    return {row[0]: Pair(*row[1:]) for row in db.session.execute(query)}


def remember(rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep opt-outs, each pair once, since the last time that the provider said so."""
    # In one order everywhere: two recorders cannot deadlock.
    ordered = sorted(rows, key=lambda row: (row["to"], row["sender"], row["provider"]))
    if ordered:
        insert_all(cast(Table, OptOut.__table__), ordered, _latest)


def _latest(statement: Any) -> Any:
    said = statement.excluded
    later = said.since > OptOut.since
    return statement.on_conflict_do_update(
        index_elements=[OptOut.to, OptOut.sender, OptOut.provider],
        set_={
            "since": case((later, said.since), else_=OptOut.since),
            "error_code": case((later, said.error_code), else_=OptOut.error_code),
        },
    )


def disprove(attempt_ids: Collection[UUID]) -> int:
    """Drop the opt-outs that a delivery of what was sent after them disproves; return how many.

    What was sent before them and arrives late proves nothing.
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
        .where(among(Attempt.id, attempt_ids), sent > OptOut.since)
        .order_by(OptOut.to, OptOut.sender, OptOut.provider)
        .with_for_update(of=OptOut)
    )
    disproved = set(db.session.scalars(query))
    for one in disproved:
        db.session.delete(one)
    return len(disproved)


def page(limit: int, numbers: Collection[str] | None = None) -> Sequence[OptOut]:
    """Return opt-outs by recipient and sender: all, or those of these recipients."""
    query = select(OptOut).order_by(OptOut.to, OptOut.sender, OptOut.provider).limit(limit)
    if numbers is not None:
        query = query.where(among(OptOut.to, numbers))
    return db.session.scalars(query).all()


def remove(numbers: Collection[str], sender: str | None = None) -> int:
    """Drop the opt-outs of these recipients, from every sender or from one; return how many."""
    gone = delete(OptOut).where(among(OptOut.to, numbers)).returning(OptOut.to)
    if sender is not None:
        gone = gone.where(OptOut.sender == sender)
    return len(db.session.scalars(gone).all())
