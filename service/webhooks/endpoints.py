"""Creates the webhook endpoints of a client, changes and deletes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from service.components import components
from service.database import db, transaction
from service.errors import Conflict, FieldError, Invalid
from service.models import WebhookEndpoint
from service.queries import webhook_endpoints
from service.queries.dialect import advisory_lock
from service.webhook_client.url import checked_url
from service.webhooks import secrets, signature

_MOST: Final = 16  # endpoints of a client


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
    url = check_url(new.url)
    secret, now = signature.new_secret(), datetime.now(UTC)
    entry = {"secret": secrets.encrypted(secret), "until": None}
    with transaction():
        advisory_lock(f"webhook_endpoints:{client_id}")
        if len(webhook_endpoints.all_of_client(client_id)) >= _MOST:
            raise Conflict(f"a client may have {_MOST} webhook endpoints; delete one first")
        endpoint = WebhookEndpoint(
            client_id=client_id,
            url=url,
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


def check_url(url: str) -> str:
    """Return a URL to store, if webhooks may be sent to it. Raises Invalid."""
    try:
        return checked_url(url, components().settings)
    except ValueError as error:
        problem = FieldError("url", str(error))
        raise Invalid("no webhook can be sent to this URL", [problem]) from None
