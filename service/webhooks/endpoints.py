"""Creates the webhook endpoints of a client, changes, enables and deletes them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from service.components import components
from service.database import after_commit, db, transaction
from service.errors import Conflict, NotFound
from service.event_feed.start import ensure_started
from service.models import WebhookDelivery, WebhookEndpoint
from service.queries import events, webhook_endpoints
from service.queries.dialect import advisory_lock
from service.task_queue.queue import NOTIFY
from service.webhooks import secrets, signature
from service.webhooks.urls import checked_url

_MOST: Final = 16  # endpoints of a client
UNKNOWN: Final = "there is no such webhook endpoint"


def create(client_id: int, fields: Mapping[str, Any]) -> tuple[WebhookEndpoint, str]:
    """Store an endpoint; return it and its signing secret. Raises Invalid or Conflict.

    `fields` are url, description, types, statuses and include_body, validated.
    """
    url = checked_url(fields["url"])
    ensure_started(client_id)
    secret, now = signature.new_secret(), datetime.now(UTC)
    entry = {"secret": secrets.encrypted(secret), "until": None}
    with transaction():
        advisory_lock(f"webhook_endpoints:{client_id}")
        if len(webhook_endpoints.all_of_client(client_id)) >= _MOST:
            raise Conflict(f"a client may have {_MOST} webhook endpoints; delete one first")
        endpoint = WebhookEndpoint(
            client_id=client_id,
            secrets=[entry],
            created_at=now,
            updated_at=now,
            failures=0,
            **{**fields, "url": url},
        )
        db.session.add(endpoint)
    return endpoint, secret


def change(client_id: int, endpoint_id: UUID, fields: Mapping[str, Any]) -> WebhookEndpoint:
    """Change fields of an endpoint and return it. Raises NotFound or Invalid.

    A new URL is called without a pause, whatever failed at the URL before it.
    """
    if "url" in fields:
        fields = {**fields, "url": checked_url(fields["url"])}
    with transaction():
        endpoint = locked(client_id, endpoint_id)
        if fields.get("url", endpoint.url) != endpoint.url:
            _forget_failures(endpoint)
        for name, value in fields.items():
            setattr(endpoint, name, value)
        endpoint.updated_at = datetime.now(UTC)
    return endpoint


def delete(client_id: int, endpoint_id: UUID) -> None:
    """Delete an endpoint: what it is owed is not delivered. Raises NotFound.

    The row stays for as long as its deliveries.
    """
    with transaction():
        locked(client_id, endpoint_id).deleted_at = datetime.now(UTC)


def enable(client_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    """Enable an endpoint; what it is owed is due. Raises NotFound."""
    with transaction():
        endpoint = locked(client_id, endpoint_id)
        endpoint.disabled_at = endpoint.disabled_reason = None
        _forget_failures(endpoint)
        call_now(endpoint)
    return endpoint


def send_test(client_id: int, endpoint_id: UUID) -> WebhookDelivery:
    """Owe an endpoint an event that tests it; return the delivery. Raises NotFound or Conflict."""
    now = datetime.now(UTC)
    with transaction():
        endpoint = locked_enabled(client_id, endpoint_id)
        delivery = WebhookDelivery(
            endpoint_id=endpoint.id,
            event_id=events.append_test(client_id, now),
            created_at=now,
            due_at=now,
            attempts=0,
        )
        db.session.add(delivery)
        call_now(endpoint)
    return delivery


def locked(client_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    """Return an endpoint of a client, locked. Raises NotFound."""
    endpoint = webhook_endpoints.of_client(client_id, endpoint_id, lock=True)
    if endpoint is None:
        raise NotFound(UNKNOWN)
    return endpoint


def locked_enabled(client_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    """Return an endpoint to which events are delivered, locked. Raises NotFound or Conflict."""
    endpoint = locked(client_id, endpoint_id)
    if endpoint.disabled_at is not None:
        raise Conflict("the webhook endpoint is disabled; enable it first")
    return endpoint


def call_now(endpoint: WebhookEndpoint) -> None:
    """End the pause of an endpoint that fails, and request its deliveries after the commit."""
    endpoint.retry_at = None
    after_commit(NOTIFY, components().queue.request)


def _forget_failures(endpoint: WebhookEndpoint) -> None:
    endpoint.failures, endpoint.failing_since, endpoint.retry_at = 0, None, None
