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


def owe_changes(clients: Mapping[UUID, int]) -> None:
    """Do the work of `owe` for messages whose clients have asked for events.

    `clients` are the clients of the messages, by the ids of the messages.
    """
    told = event_clients.told(set(clients.values())) if clients else set()
    owe([message_id for message_id, client_id in clients.items() if client_id in told])


def owe(message_ids: Collection[UUID]) -> None:
    """Add events for messages that this transaction changed, and what is owed of them."""
    if message_ids and owed_events.add_events(message_ids, datetime.now(UTC)):
        after_commit(NOTIFY, components().queue.request)


def owe_deliveries(owed: Sequence[Mapping[str, Any]]) -> None:
    """Add deliveries, and request them after the commit."""
    if owed:
        webhook_deliveries.add(owed)
        after_commit(NOTIFY, components().queue.request)
