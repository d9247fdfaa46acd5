"""Search over the inbound messages of all clients: by person, SID or id."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select

from service.database import db
from service.models import InboundMessage


def by_id(message_id: UUID) -> InboundMessage | None:
    """Return the inbound message with this id."""
    return db.session.get(InboundMessage, message_id, populate_existing=True)


def by_sid(sid: str, providers: Collection[str]) -> InboundMessage | None:
    """Return an inbound message with this SID, of any of these providers."""
    # The provider comes first in the index: one descent for each.
    query = select(InboundMessage).where(
        InboundMessage.provider.in_(providers), InboundMessage.provider_sid == sid
    )
    return db.session.scalars(query.limit(1)).first()


def from_addresses(
    addresses: Collection[str], before: UUID | None, limit: int
) -> Sequence[InboundMessage]:
    """Return messages from any of these addresses, newest first."""
    messages = [each for address in addresses for each in _page(address, before, limit)]
    return sorted(messages, key=lambda message: message.id.int, reverse=True)[:limit]


def _page(address: str, before: UUID | None, limit: int) -> Sequence[InboundMessage]:
    # With `=` a database may read all messages by their ids (queries/message_lists.py).
    query = select(InboundMessage).where(InboundMessage.from_address.between(address, address))
    if before is not None:
        query = query.where(InboundMessage.id < before)
    newest = query.order_by(
        InboundMessage.from_address.desc().nulls_last(), InboundMessage.id.desc().nulls_last()
    )
    return db.session.scalars(newest.limit(limit)).all()
