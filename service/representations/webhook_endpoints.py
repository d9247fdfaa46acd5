"""Turn webhook endpoints into the JSON of the API."""

from typing import Any

from service.models import WebhookEndpoint
from service.representations.messages import time_text


def endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Return an endpoint, without its secrets."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "types": endpoint.types,
        "statuses": endpoint.statuses,
        "include_body": endpoint.include_body,
        "created_at": time_text(endpoint.created_at),
        "updated_at": time_text(endpoint.updated_at),
    }
