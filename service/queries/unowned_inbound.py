"""Inbound messages for which no client was found, and figures of the latest messages."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select, update

from service.database import db
from service.domain.message_ids import first_id
from service.models import InboundMessage
from service.queries.backlog import Backlog
from service.queries.dialect import any_of

_UNOWNED: Final = InboundMessage.client_id.is_(None)
# Messages without an owner that are compared with a sender.
_MOST_COMPARED: Final = 10_000


class Received(NamedTuple):
    """Numbers of recent messages: by keyword (`none` for other texts), and without an owner."""

    by_keyword: Counter[str]
    unowned: int
    truncated: bool

    @property
    def total(self) -> int:
        """Return how many messages were counted."""
        return self.by_keyword.total()


def page(before: UUID | None, limit: int) -> Sequence[InboundMessage]:
    """Return messages without an owner, newest first."""
    query = select(InboundMessage).where(_UNOWNED)
    if before is not None:
        query = query.where(InboundMessage.id < before)
    return db.session.scalars(query.order_by(InboundMessage.id.desc()).limit(limit)).all()


def behind(after: UUID, since: UUID, limit: int) -> Sequence[InboundMessage]:
    """Return messages without an owner behind an id, the oldest first, not older than `since`."""
    query = select(InboundMessage).where(_UNOWNED, InboundMessage.id > max(after, since))
    return db.session.scalars(query.order_by(InboundMessage.id).limit(limit)).all()


def to_sender(provider: str, sender: str, limit: int) -> Sequence[UUID]:
    """Return messages to a sender among the newest ones without an owner, the oldest first."""
    newest = _newest().limit(_MOST_COMPARED).subquery()
    query = select(newest.c.id).where(newest.c.to_address == sender, newest.c.provider == provider)
    return db.session.scalars(query.order_by(newest.c.id).limit(limit)).all()


def give(ids: Collection[UUID], client_id: int, in_reply_to: UUID | None = None) -> set[UUID]:
    """Give messages without an owner to a client; return the ids of those that had none.

    `in_reply_to` is the message of the client that they answer.
    """
    statement = update(InboundMessage).where(any_of(InboundMessage.id, ids), _UNOWNED)
    statement = statement.values(client_id=client_id, in_reply_to=in_reply_to)
    returning = statement.returning(InboundMessage.id)
    return set(db.session.scalars(returning, execution_options={"synchronize_session": False}))


def count(since: datetime | None, limit: int) -> Backlog:
    """Return how many messages have no owner, and since when; `limit` at most."""
    query = _newest().where(InboundMessage.id >= first_id(since)) if since else _newest()
    rows = query.limit(limit).subquery()
    size, oldest = db.session.execute(select(func.count(), func.min(rows.c.received_at))).one()
    return Backlog(size, oldest)


def received(since: datetime, limit: int) -> Received:
    """Return the numbers of the messages recorded since a time, the newest `limit` of them."""
    columns = InboundMessage.keyword, InboundMessage.client_id
    recent = select(*columns).where(InboundMessage.id >= first_id(since))
    rows = recent.order_by(InboundMessage.id.desc()).limit(limit).subquery()
    unowned = func.count().filter(rows.c.client_id.is_(None))
    by_keyword, without = Counter[str](), 0
    query = select(rows.c.keyword, func.count(), unowned).group_by(rows.c.keyword)
    for keyword, number, number_unowned in db.session.execute(query):
        by_keyword[keyword or "none"] += number
        without += number_unowned
    return Received(by_keyword, without, by_keyword.total() >= limit)


def _newest() -> Select[UUID, str, str, datetime]:
    columns = InboundMessage.id, InboundMessage.provider, InboundMessage.to_address
    return (
        select(*columns, InboundMessage.received_at)
        .where(_UNOWNED)
        .order_by(InboundMessage.id.desc())
    )
