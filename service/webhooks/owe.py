"""Adds an event for each changed message, and owes it to the endpoints of the client.

It runs in the transaction that records: what is committed will be told.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from service.components import components
from service.database import after_commit
from service.models import WebhookEndpoint
from service.queries import events, webhook_deliveries, webhook_endpoints
from service.task_queue.queue import NOTIFY


def owe(changed: Mapping[UUID, Any]) -> None:
    """Add events for changed messages, and what is owed of them.

    `changed` are the rows of the messages as they were before, by their ids.
    """
    if not changed:
        return
    now = datetime.now(UTC)
    added = events.append_changes(changed.keys(), now)
    endpoints = webhook_endpoints.active({row.client_id for row in changed.values()})
    if not endpoints:
        return
    owed = [
        _delivery(endpoint, event, now)
        for event in added
        for endpoint in endpoints
        if _is_owed(endpoint, event, changed[event.message_id].webhook_endpoint_id)
    ]
    owe_deliveries(owed)


def owe_deliveries(owed: Sequence[Mapping[str, Any]]) -> None:
    """Add deliveries, and request them after the commit."""
    if owed:
        webhook_deliveries.add(owed)
        after_commit(NOTIFY, components().queue.request)


def _is_owed(endpoint: WebhookEndpoint, event: Any, only: UUID | None) -> bool:
    return (
        endpoint.client_id == event.client_id
        and only in (None, endpoint.id)
        and event.status in endpoint.statuses
        and events.MESSAGE_UPDATED in endpoint.types
    )


def _delivery(endpoint: WebhookEndpoint, event: Any, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "endpoint_id": endpoint.id,
        "event_id": event.id,
        "message_id": event.message_id,
        "created_at": now,
        "due_at": now,
        "attempts": 0,
    }
