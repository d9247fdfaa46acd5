"""Creates the webhook endpoints of a client, changes and deletes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from service.components import components
from service.database import after_commit, db, transaction
from service.errors import Conflict, FieldError, Invalid, NotFound
from service.models import WebhookEndpoint
from service.queries import webhook_endpoints
from service.queries.dialect import advisory_lock
from service.task_queue.queue import NOTIFY
from service.webhook_client.client import resolve
from service.webhook_client.destination import Forbidden
from service.webhooks import secrets, signature

_MOST: Final = 16  # endpoints of a client
_UNKNOWN: Final = "there is no such webhook endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """A validated endpoint, not yet stored."""

    url: str
    description: str | None
    types: Sequence[str]
    statuses: Sequence[str]
    include_body: bool


def create(client_id: int, new: NewEndpoint) -> tuple[WebhookEndpoint, str]:
    """Store an endpoint; return it and its signing secret. Raises Invalid or Conflict."""
    check_url(new.url)
    secret, now = signature.new_secret(), datetime.now(UTC)
    entry = {"secret": secrets.encrypted(secret), "until": None}
    with transaction():
        advisory_lock(f"webhook_endpoints:{client_id}")
        if len(webhook_endpoints.all_of_client(client_id)) >= _MOST:
            raise Conflict(f"a client may have {_MOST} webhook endpoints; delete one first")
        endpoint = WebhookEndpoint(
            client_id=client_id,
            url=new.url,
            description=new.description,
            types=list(new.types),
            statuses=list(new.statuses),
            include_body=new.include_body,
            secrets=[entry],
            created_at=now,
            updated_at=now,
            failures=0,
        )
        db.session.add(endpoint)
    return endpoint, secret


def enable(client_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    """Enable an endpoint; what it is owed is due. Raises NotFound."""
    with transaction():
        endpoint = locked(client_id, endpoint_id)
        endpoint.disabled_at = endpoint.disabled_reason = None
        endpoint.failures, endpoint.failing_since, endpoint.retry_at = 0, None, None
        after_commit(NOTIFY, components().queue.request)
    return endpoint


def locked(client_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    """Return an endpoint of a client, locked. Raises NotFound."""
    endpoint = webhook_endpoints.of_client(client_id, endpoint_id, lock=True)
    if endpoint is None:
        raise NotFound(_UNKNOWN)
    return endpoint


def locked_enabled(client_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    """Return an endpoint to which events are delivered, locked. Raises NotFound or Conflict."""
    endpoint = locked(client_id, endpoint_id)
    if endpoint.disabled_at is not None:
        raise Conflict("the webhook endpoint is disabled; enable it first")
    return endpoint


def check_url(url: str) -> None:
    """Check that webhooks may be sent to a URL. Raises Invalid."""
    settings, parts = components().settings, urlsplit(url)
    if parts.scheme != "https" and not settings.webhook_allow_http:
        _refuse("must start with https://")
    try:
        resolve(parts.hostname or "", parts.port or 443, settings.webhook_networks)
    except Forbidden as error:
        _refuse(f"must not lead there: {error}")
    except OSError:
        _refuse("must have a host name that can be resolved")


def _refuse(problem: str) -> None:
    raise Invalid("no webhook can be sent to this URL", [FieldError("url", problem)])
