"""Turn webhook endpoints and deliveries into the JSON of the API."""

from collections.abc import Sequence
from datetime import datetime

from service.domain.status import Status
from service.models import WebhookDelivery, WebhookEndpoint
from service.queries import webhook_log
from service.representations import webhook_types as types
from service.representations.events import id_text
from service.representations.messages import time_text


def endpoints(endpoints: Sequence[WebhookEndpoint]) -> list[types.WebhookEndpoint]:
    """Return endpoints with their health, without their secrets."""
    due = webhook_log.next_due([endpoint.id for endpoint in endpoints])
    return [_endpoint(endpoint, due.get(endpoint.id)) for endpoint in endpoints]


def endpoint(endpoint: WebhookEndpoint) -> types.WebhookEndpoint:
    """Return an endpoint with its health, without its secrets."""
    return endpoints([endpoint])[0]


def with_secret(new: WebhookEndpoint, secret: str) -> types.WebhookEndpointWithSecret:
    """Return an endpoint with its new secret."""
    return {**endpoint(new), "secret": secret}


def delivery(delivery: WebhookDelivery) -> types.WebhookDelivery:
    """Return a delivery."""
    return {
        "id": delivery.id,
        "event_id": id_text(delivery.event_id),
        "message_id": delivery.message_id,
        "status": webhook_log.status_of(delivery),
        "attempts": delivery.attempts,
        "answer_status": delivery.answer_status,
        "error": delivery.error,
        "created_at": time_text(delivery.created_at),
        "attempted_at": _time(delivery.attempted_at),
        "delivered_at": _time(delivery.delivered_at),
        "next_attempt_at": _time(delivery.due_at),
    }


def _endpoint(endpoint: WebhookEndpoint, due_at: datetime | None) -> types.WebhookEndpoint:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "types": endpoint.types,
        "statuses": [Status(status) for status in endpoint.statuses],
        "include_body": endpoint.include_body,
        "enabled": endpoint.disabled_at is None,
        "disabled_at": _time(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": _time(endpoint.failing_since),
        "last_success_at": _time(endpoint.succeeded_at),
        "next_attempt_at": _time(endpoint.next_attempt(due_at)),
        "created_at": time_text(endpoint.created_at),
        "updated_at": time_text(endpoint.updated_at),
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time_text(time)
