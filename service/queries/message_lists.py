"""Queries of lists: a page of a client's messages, in bounded time for every filter.

One index is walked in the order of the ids: that of the recipient, the reference, the status, or
of all messages of the client. What it does not know is compared row by row, over a bounded number
of rows, and the page says where to go on.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from service.database import db
from service.domain.message_ids import first_id
from service.domain.status import FINAL, UNREPORTED, Status
from service.models import Message

# Rows that a page is searched in, for each message that it may hold.
_SEARCHED: Final = 20
# Of all messages that a provider has and may still change (Message.listed_as).
_OPEN: Final = "open"
_Columns = list[InstrumentedAttribute[Any]]
_COMPARED: Final = ("status", "provider", "reference", "provider_sid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which messages to list; None means any."""

    status: Status | None = None
    provider: str | None = None
    to: Collection[str] | None = None  # any of these addresses
    reference: str | None = None
    provider_sid: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class Page(NamedTuple):
    """Messages, and which id to go on before; None at the end of the list.

    A page may hold fewer than asked for, or none, and not be the last.
    """

    messages: Sequence[Message]
    next: UUID | None


def page(client_id: int, wanted: Filter, before: UUID | None, limit: int) -> Page:
    """Return messages newest first, those older than `before` when it is given.

    Ids are ordered by creation (UUIDv7), so that a page boundary stays where it is under inserts.
    """
    pages = [_page(client_id, wanted, to, before, limit) for to in wanted.to or (None,)]
    # What comes before it, not every page has searched.
    end = max((page.next for page in pages if page.next), default=None, key=lambda one: one.int)
    messages = [
        message for page in pages for message in page.messages if end is None or message.id >= end
    ]
    messages.sort(key=lambda message: message.id.int, reverse=True)
    if len(messages) > limit:
        return Page(messages[:limit], messages[limit - 1].id)
    return Page(messages, end)


def _page(client_id: int, wanted: Filter, to: str | None, before: UUID | None, limit: int) -> Page:
    columns, equal, others = _walk(wanted, to)
    query = select(Message).where(Message.client_id == client_id, *equal)
    query = query.where(*_range(wanted, before)).order_by(*columns, _newest(Message))
    if not others:
        messages = db.session.scalars(query.limit(limit + 1)).all()
    else:
        query = query.limit(_SEARCHED * limit)
        messages = _matching(query, columns, others, limit + 1)
    if len(messages) > limit:
        return Page(messages[:limit], messages[limit - 1].id)
    return Page(messages, _end_of_search(query, messages, limit) if others else None)


def _walk(
    wanted: Filter, to: str | None
) -> tuple[_Columns, list[ColumnElement[bool]], dict[str, Any]]:
    """Return the column of the index to walk, its condition, and what is left to compare.

    A column that equals a value would not count in an order, and another index could serve; one
    between a value and itself does.
    """
    values = {"to": to, **{name: getattr(wanted, name) for name in _COMPARED}}
    values = {name: value for name, value in values.items() if value is not None}
    if "provider_sid" in values:
        # A handful of messages: the rest is cheap to compare. SQLite would walk the client's.
        named = select(Message.id).where(Message.provider_sid == values.pop("provider_sid"))
        others = [getattr(Message, name) == value for name, value in values.items()]
        return [], [Message.id.in_(named.limit(_SEARCHED)), *others], {}
    for name in ("to", "reference"):
        if name in values:
            column, value = getattr(Message, name), values.pop(name)
            return [column], [column.between(value, value)], values
    if wanted.status is None:
        return [], [], values
    group = _OPEN
    if wanted.status in FINAL or wanted.status in UNREPORTED:
        group = values.pop("status").value
    column, value = Message.listed_as, group
    return [column], [column.between(value, value)], values


def _range(wanted: Filter, before: UUID | None) -> Iterator[ColumnElement[bool]]:
    """Yield the bounds on the id: times are inside of it."""
    if wanted.created_after is not None:
        yield Message.id >= first_id(wanted.created_after)
    if wanted.created_before is not None:
        yield Message.id < first_id(wanted.created_before)
    if before is not None:
        yield Message.id < before


def _newest(message: Any) -> ColumnElement[Any]:
    # In the words of the indexes: the primary key does not know where nulls are.
    order: ColumnElement[Any] = message.id.desc().nulls_last()
    return order


def _matching(
    query: Select[Message], columns: _Columns, others: Mapping[str, Any], limit: int
) -> Sequence[Message]:
    """Compare the rows that were searched, in their order, until there are enough."""
    searched = aliased(Message, query.add_columns(Message.listed_as).subquery())
    conditions = [getattr(searched, name) == value for name, value in others.items()]
    order = [getattr(searched, column.key) for column in columns]
    matching = select(searched).where(*conditions).order_by(*order, _newest(searched))
    return db.session.scalars(matching.limit(limit)).all()


def _end_of_search(query: Select[Message], messages: Sequence[Message], limit: int) -> UUID | None:
    """Return the last id that was compared; None where nothing is left to compare."""
    ids = db.session.scalars(query.with_only_columns(Message.id)).all()
    if len(ids) < _SEARCHED * limit:
        return None
    # Messages that came in between the two queries move the end; no match may come twice.
    return min([ids[-1], *(one.id for one in messages)], key=lambda one: one.int)
