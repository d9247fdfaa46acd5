"""Gives inbound messages without an owner to the client that owns them by now.

Their sender was given to a client later (`clients senders add`), or the message that they answer
was reported as failed at first.
"""

from datetime import UTC, datetime
from uuid import UUID

from service.database import transaction
from service.domain.message_ids import first_id
from service.inbound.owner import LONGEST, owners_of
from service.models import InboundMessage
from service.providers.base import Inbound
from service.queries import unowned_inbound
from service.webhooks.owe import owe_received

# Behind which message the next search begins; each process has its own.
_last = UUID(int=0)


def adopt(limit: int = 200) -> int:
    """Give messages of the last 30 days to their clients, and tell these; return how many.

    Reads `limit` messages without an owner, and the next of them when it is called again.
    """
    global _last
    with transaction():
        rows = unowned_inbound.behind(_last, first_id(datetime.now(UTC) - LONGEST), limit)
        owners = owners_of([_received(row) for row in rows]) if rows else []
        adopted = set[UUID]()
        for row, owner in zip(rows, owners, strict=True):
            if owner.client_id:
                adopted |= unowned_inbound.give([row.id], owner.client_id, owner.in_reply_to)
        owe_received(adopted)
        _last = rows[-1].id if len(rows) == limit else UUID(int=0)
    return len(adopted)


def _received(row: InboundMessage) -> Inbound:
    """Return what tells the owner of a message."""
    return Inbound(
        provider=row.provider,
        account=row.account,
        provider_sid=row.provider_sid,
        from_address=row.from_address,
        to_address=row.to_address,
        messaging_service_sid=row.messaging_service_sid,
        received_at=row.received_at,
        provider_time=row.provider_time,
    )
