"""Claims due deliveries in fair turns, with everything that their calls need."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from service.database import transaction
from service.models import Message, WebhookDelivery, WebhookEndpoint
from service.queries import events, webhook_deliveries
from service.representations import events as representations
from service.representations import messages
from service.webhooks.secrets import signing_secrets

# A worker that claimed a delivery counts as dead after this. A call takes 15 s at most.
_LEASE: Final = timedelta(seconds=45)


class Call(NamedTuple):
    """A request to an endpoint, and what its result depends on."""

    delivery_id: UUID
    endpoint_id: UUID
    attempts: int
    url: str
    event_id: str
    body: bytes
    secrets: Sequence[str]


def claim(slots: int, most: int, under_way: Mapping[UUID, int], now: datetime) -> list[Call]:
    """Claim up to `slots` deliveries: at most `most` calls to an endpoint, 1 while it fails."""
    with transaction():
        endpoints = {each.id: each for each in webhook_deliveries.waiting_endpoints(now)}
        shares = _shares(list(endpoints.values()), slots, most, under_way)
        claimed = webhook_deliveries.claim(shares, now, now + _LEASE)
        bodies = _bodies(claimed, endpoints)
    return [_call(each, endpoints[each.endpoint_id], bodies, now) for each in claimed]


def _shares(
    endpoints: Sequence[WebhookEndpoint], slots: int, most: int, under_way: Mapping[UUID, int]
) -> dict[UUID, int]:
    """Return how many deliveries to claim of each endpoint."""
    room = {
        each.id: (1 if each.failing_since else most) - under_way.get(each.id, 0)
        for each in endpoints
    }
    served = [endpoint_id for endpoint_id, free in room.items() if free > 0][:slots]
    share = ceil(slots / len(served)) if served else 0
    shares, left = dict[UUID, int](), slots
    for endpoint_id in served:
        shares[endpoint_id] = min(share, room[endpoint_id], left)
        left -= shares[endpoint_id]
    return {endpoint_id: count for endpoint_id, count in shares.items() if count}


def _bodies(
    claimed: Sequence[WebhookDelivery], endpoints: Mapping[UUID, WebhookEndpoint]
) -> dict[UUID, tuple[str, bytes]]:
    """Return the event id and the body of each delivery."""
    told = events.with_messages({each.event_id for each in claimed})
    shown = {each["id"]: each for each in messages.messages(_messages(told.values()))}
    bodies = {}
    for each in claimed:
        event, message = told[each.event_id]
        body = representations.webhook_body(
            event,
            shown[message.id] if message else None,
            include_body=endpoints[each.endpoint_id].include_body,
        )
        bodies[each.id] = (representations.event_id(event), orjson.dumps(body))
    return bodies


def _messages(told: Any) -> list[Message]:
    return list({message.id: message for _, message in told if message}.values())


def _call(
    delivery: WebhookDelivery,
    endpoint: WebhookEndpoint,
    bodies: Mapping[UUID, tuple[str, bytes]],
    now: datetime,
) -> Call:
    event_id, body = bodies[delivery.id]
    return Call(
        delivery.id,
        endpoint.id,
        delivery.attempts,
        endpoint.url,
        event_id,
        body,
        signing_secrets(endpoint, now),
    )
