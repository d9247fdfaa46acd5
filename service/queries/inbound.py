"""Queries on inbound messages."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, select

from service.database import db
from service.errors import NotFound
from service.models import InboundMessage
from service.queries.dialect import insert_all

_TABLE: Final = cast(Table, InboundMessage.__table__)


class Page(NamedTuple):
    """Inbound messages, and the id before which the next page starts; None on the last page."""

    messages: Sequence[InboundMessage]
    next: UUID | None


def insert(rows: Sequence[Mapping[str, Any]]) -> set[UUID]:
    """Insert messages that are not known yet; return their ids."""
    # One order everywhere, so that two transactions with the same repeats cannot deadlock.
    ordered = sorted(rows, key=lambda row: (row["provider"], row["provider_sid"]))
    return set(insert_all(_TABLE, ordered, _unless_known).scalars())


def _unless_known(statement: Any) -> Any:
    unique = [InboundMessage.provider, InboundMessage.provider_sid]
    return statement.on_conflict_do_nothing(index_elements=unique).returning(InboundMessage.id)


def message(client_id: int, message_id: UUID) -> InboundMessage:
    """Return a message of a client. Raises NotFound."""
    query = select(InboundMessage).where(
        InboundMessage.id == message_id, InboundMessage.client_id == client_id
    )
    found = db.session.scalars(query).one_or_none()
    if found is None:
        raise NotFound("no inbound message with this id")
    return found


def page(client_id: int, before: UUID | None, limit: int) -> Page:
    """Return messages of a client, newest first, optionally only those older than `before`."""
    query = select(InboundMessage).where(InboundMessage.client_id == client_id)
    if before is not None:
        query = query.where(InboundMessage.id < before)
    found = db.session.scalars(query.order_by(InboundMessage.id.desc()).limit(limit + 1)).all()
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)
