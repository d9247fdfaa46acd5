"""Queries on inbound messages."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Table, select

from service.database import db
from service.domain.keywords import Keyword
from service.errors import NotFound
from service.models import InboundMessage
from service.queries import bounded_pages
from service.queries.bounded_pages import Page, Walk
from service.queries.dialect import insert_all

_TABLE: Final = cast(Table, InboundMessage.__table__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions on inbound messages; None means no condition."""

    from_addresses: Collection[str] | None = None  # any of these
    to_address: str | None = None
    keyword: Keyword | None = None
    in_reply_to: UUID | None = None
    received_after: datetime | None = None
    received_before: datetime | None = None


def insert(rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Insert messages that are not known yet; return their ids."""
    # One order everywhere, so that two transactions with the same repeats cannot deadlock.
    ordered = sorted(rows, key=lambda row: (row["provider"], row["provider_sid"]))
    return set(insert_all(_TABLE, ordered, _unless_known).scalars())


def _unless_known(statement: Any) -> Any:
    unique = [InboundMessage.provider, InboundMessage.provider_sid]
    return statement.on_conflict_do_nothing(index_elements=unique).returning(InboundMessage.id)


def message(client_id: int, message_id: UUID) -> InboundMessage:
    """Return a message of a client. Raises NotFound, also for another client's."""
    query = select(InboundMessage).where(
        InboundMessage.id == message_id, InboundMessage.client_id == client_id
    )
    row = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise NotFound("there is no such inbound message")
    return row


def page(client_id: int, filters: Filter, before: UUID | None, limit: int) -> Page[InboundMessage]:
    """Return messages of a client, newest first, optionally only those older than `before`."""
    times = bounded_pages.id_range(
        InboundMessage, filters.received_after, filters.received_before, before
    )
    query = select(InboundMessage).where(InboundMessage.client_id == client_id, *times)
    pages = [bounded_pages.page(InboundMessage, query, walk, limit) for walk in _walks(filters)]
    return bounded_pages.merged(pages, limit)


def _walks(filters: Filter) -> Iterator[Walk]:
    """Yield a walk for each address. Of the filters, the one with the fewest rows comes first."""
    for address in filters.from_addresses or (None,):
        values = {
            "in_reply_to": filters.in_reply_to,
            "from_address": address,
            "keyword": filters.keyword,
            "to_address": filters.to_address,
        }
        values = {name: value for name, value in values.items() if value is not None}
        if not values:
            yield Walk([], [])
            continue
        first = next(iter(values))
        yield bounded_pages.along(getattr(InboundMessage, first), values.pop(first), values)
