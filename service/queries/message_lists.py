"""List a client's messages in pages, in bounded time for every filter.

The query reads one index in the order of ids: that of the recipient, the reference, the status, or
of all messages of the client.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, select

from service.domain.status import FINAL, UNREPORTED, Status
from service.models import Message
from service.queries import bounded_pages
from service.queries.bounded_pages import SEARCH_FACTOR, Page, Walk

# Value of Message.listed_as for messages that a provider has and may still change.
_OPEN: Final = "open"
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


def page(client_id: int, filters: Filter, before: UUID | None, limit: int) -> Page[Message]:
    """Return messages, newest first, optionally only those older than `before`."""
    times = bounded_pages.id_range(Message, filters.created_after, filters.created_before, before)
    query = select(Message).where(Message.client_id == client_id, *times)
    walks = [_walk(filters, to) for to in filters.to or (None,)]
    pages = [bounded_pages.page(Message, query, walk, limit) for walk in walks]
    return bounded_pages.merged(pages, limit)


def _walk(filters: Filter, to: str | None) -> Walk:
    values = {"to": to, **{name: getattr(filters, name) for name in _FILTERS}}
    values = {name: value for name, value in values.items() if value is not None}
    if "provider_sid" in values:
        return Walk([], _has_sid(values))
    for name in ("to", "reference"):
        if name in values:
            return bounded_pages.along(getattr(Message, name), values.pop(name), values)
    if filters.status is None:
        return Walk([], [], values)
    group = _OPEN
    if filters.status in FINAL or filters.status in UNREPORTED:
        group = values.pop("status").value
    return bounded_pages.along(Message.listed_as, group, values)


def _has_sid(values: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Return conditions for a SID and the other filters.

    A SID has few messages. Without the subquery SQLite would read all those of the client.
    """
    with_sid = select(Message.id).where(Message.provider_sid == values.pop("provider_sid"))
    others = [getattr(Message, name) == value for name, value in values.items()]
    return [Message.id.in_(with_sid.limit(SEARCH_FACTOR)), *others]
