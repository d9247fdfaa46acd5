"""List a client's messages in pages, in bounded time for every filter.

The query reads one index in the order of ids: that of the recipient, the reference, the status, or
of all messages of the client. Filters outside the index are compared row by row over a bounded
number of rows; the page then returns the id at which the next page continues.
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

# Rows that are compared for each message that fits on a page.
_SEARCH_FACTOR: Final = 20
# Value of Message.listed_as for messages that a provider has and may still change.
_OPEN: Final = "open"
_Columns = list[InstrumentedAttribute[Any]]
_FILTERS: Final = ("status", "provider", "reference", "provider_sid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions on messages; None means no condition."""

    status: Status | None = None
    provider: str | None = None
    to: Collection[str] | None = None  # any of these addresses
    reference: str | None = None
    provider_sid: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class Page(NamedTuple):
    """Messages, and the id before which the next page starts; None on the last page.

    A page can be short or empty without being the last.
    """

    messages: Sequence[Message]
    next: UUID | None


def page(client_id: int, filters: Filter, before: UUID | None, limit: int) -> Page:
    """Return messages, newest first, optionally only those older than `before`.

    Ids are in the order of creation (UUIDv7), so new messages do not move a page.
    """
    pages = [_page(client_id, filters, to, before, limit) for to in filters.to or (None,)]
    # Older messages than this were not compared for every recipient.
    ends = [page.next for page in pages if page.next]
    end = max(ends, default=None, key=lambda message_id: message_id.int)
    messages = [
        message for page in pages for message in page.messages if end is None or message.id >= end
    ]
    messages.sort(key=lambda message: message.id.int, reverse=True)
    if len(messages) > limit:
        return Page(messages[:limit], messages[limit - 1].id)
    return Page(messages, end)


def _page(client_id: int, filters: Filter, to: str | None, before: UUID | None, limit: int) -> Page:
    columns, equal, others = _index(filters, to)
    query = select(Message).where(Message.client_id == client_id, *equal)
    query = query.where(*_id_range(filters, before)).order_by(*columns, _newest(Message))
    if not others:
        messages = db.session.scalars(query.limit(limit + 1)).all()
    else:
        query = query.limit(_SEARCH_FACTOR * limit)
        messages = _matching(query, columns, others, limit + 1)
    if len(messages) > limit:
        return Page(messages[:limit], messages[limit - 1].id)
    return Page(messages, _end_of_search(query, messages, limit) if others else None)


def _index(
    filters: Filter, to: str | None
) -> tuple[_Columns, list[ColumnElement[bool]], dict[str, Any]]:
    """Return the column of the index to read, its condition, and the filters to compare.

    `BETWEEN value AND value` makes both databases use the index: with `=` the column drops out of
    ORDER BY, and they may choose another index.
    """
    values = {"to": to, **{name: getattr(filters, name) for name in _FILTERS}}
    values = {name: value for name, value in values.items() if value is not None}
    if "provider_sid" in values:
        return [], _has_sid(values), {}
    for name in ("to", "reference"):
        if name in values:
            column, value = getattr(Message, name), values.pop(name)
            return [column], [column.between(value, value)], values
    if filters.status is None:
        return [], [], values
    group = _OPEN
    if filters.status in FINAL or filters.status in UNREPORTED:
        group = values.pop("status").value
    column, value = Message.listed_as, group
    return [column], [column.between(value, value)], values


def _has_sid(values: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Return conditions for a SID and the other filters.

    A SID has few messages. Without the subquery SQLite would read all those of the client.
    """
    with_sid = select(Message.id).where(Message.provider_sid == values.pop("provider_sid"))
    others = [getattr(Message, name) == value for name, value in values.items()]
    return [Message.id.in_(with_sid.limit(_SEARCH_FACTOR)), *others]


def _id_range(filters: Filter, before: UUID | None) -> Iterator[ColumnElement[bool]]:
    """Yield conditions on the id, which contains the time of creation."""
    if filters.created_after is not None:
        yield Message.id >= first_id(filters.created_after)
    if filters.created_before is not None:
        yield Message.id < first_id(filters.created_before)
    if before is not None:
        yield Message.id < before


def _newest(message: Any) -> ColumnElement[Any]:
    # NULLS LAST, as in the indexes: without it the database may read the primary key instead.
    order: ColumnElement[Any] = message.id.desc().nulls_last()
    return order


def _matching(
    query: Select[Message], columns: _Columns, others: Mapping[str, Any], limit: int
) -> Sequence[Message]:
    """Return the rows of a query that match the other filters, in order."""
    searched = aliased(Message, query.add_columns(Message.listed_as).subquery())
    conditions = [getattr(searched, name) == value for name, value in others.items()]
    order = [getattr(searched, column.key) for column in columns]
    matching = select(searched).where(*conditions).order_by(*order, _newest(searched))
    return db.session.scalars(matching.limit(limit)).all()


def _end_of_search(query: Select[Message], messages: Sequence[Message], limit: int) -> UUID | None:
    """Return the last id that was compared; None if no rows are left."""
    ids = db.session.scalars(query.with_only_columns(Message.id)).all()
    if len(ids) < _SEARCH_FACTOR * limit:
        return None
    # New messages between both queries move the end; no message may be on two pages.
    return min([ids[-1], *(message.id for message in messages)], key=lambda id_: id_.int)
