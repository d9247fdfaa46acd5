"""Replaces the signing secret of an endpoint; the earlier ones sign for a while."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from service.database import transaction
from service.errors import Conflict
from service.models import WebhookEndpoint
from service.webhooks import secrets, signature
from service.webhooks.endpoints import locked

# Secrets of an endpoint that sign at the same time. Each adds 48 bytes to a header.
_MOST: Final = 10


def rotate(client_id: int, endpoint_id: UUID, overlap: timedelta) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret; the earlier ones sign for at most `overlap` longer.

    Returns the endpoint and the secret. Raises NotFound, or Conflict if too many secrets sign.
    """
    secret, now = signature.new_secret(), datetime.now(UTC)
    entry = {"secret": secrets.encrypted(secret), "until": None}
    with transaction():
        endpoint = locked(client_id, endpoint_id)
        earlier = _ending(endpoint.secrets, now, now + overlap)
        if len(earlier) >= _MOST:
            raise Conflict(
                f"{_MOST} secrets of this webhook endpoint sign already; rotate with a smaller "
                "overlap_seconds to end the earlier ones"
            )
        endpoint.secrets, endpoint.updated_at = [entry, *earlier], now
    return endpoint, secret


def _ending(
    entries: Sequence[dict[str, Any]], now: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Return the secrets that still sign, each until `end` at most."""
    ends = [
        (entry, end if entry["until"] is None else min(end, datetime.fromisoformat(entry["until"])))
        for entry in entries
    ]
    return [{**entry, "until": until.isoformat()} for entry, until in ends if until > now]
