"""Adds an event for each changed message, and owes it to the endpoints of the client.

It runs in the transaction that records: what is committed will be told.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from uuid import UUID

from service.components import components
from service.database import after_commit
from service.queries import event_clients, owed_events, received_events
from service.task_queue.queue import NOTIFY


def owe_changes(clients: Mapping[UUID, int]) -> None:
    """Do the work of `owe`, which is skipped if no client of the messages has asked for events.

    `clients` are the clients of the messages, by the ids of the messages.
    """
    if clients and event_clients.any_told(set(clients.values())):
        owe(clients)


def owe(message_ids: Collection[UUID]) -> None:
    """Add events for messages that this transaction changed, and what is owed of them.

    Only for messages of clients that have asked for events.
    """
    if message_ids and owed_events.add_events(message_ids, datetime.now(UTC)):
        after_commit(NOTIFY, components().queue.request)


def owe_received(inbound_ids: Collection[UUID]) -> None:
    """Add events for new inbound messages, and what is owed of them, as `owe` does."""
    if inbound_ids and received_events.add_events(inbound_ids, datetime.now(UTC)):
        after_commit(NOTIFY, components().queue.request)
