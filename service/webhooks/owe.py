"""Adds an event for each changed message, and owes it to the endpoints of the client.

It runs in the transaction that records: what is committed will be told.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.components import components
from service.database import after_commit
from service.queries import event_clients, owed_events, webhook_deliveries
from service.task_queue.queue import NOTIFY


def owe(message_ids: Collection[UUID], client_ids: Collection[int] | None = None) -> None:
    """Add events for messages that this transaction changed, and what is owed of them.

    `client_ids`: the clients of the messages, if known. If none has asked for events, none are
    added.
    """
    if client_ids is not None and not event_clients.any_told(client_ids):
        return
    if message_ids and owed_events.add_events(message_ids, datetime.now(UTC)):
        after_commit(NOTIFY, components().queue.request)


def owe_deliveries(owed: Sequence[Mapping[str, Any]]) -> None:
    """Add deliveries, and request them after the commit."""
    if owed:
        webhook_deliveries.add(owed)
        after_commit(NOTIFY, components().queue.request)
