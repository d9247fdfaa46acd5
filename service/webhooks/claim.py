"""Claims due deliveries in fair turns, with everything that their calls need."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from service.components import components
from service.database import transaction
from service.models import Event
from service.queries import due_webhooks, events, webhook_deliveries
from service.queries.events import Subject
from service.representations import events as representations
from service.webhooks.secrets import signing_secrets

#: A worker that claimed a delivery counts as dead after this. A call takes 15 s at most, and its
#: result is recorded or given up 20 s later.
LEASE: Final = timedelta(seconds=45)


class Call(NamedTuple):
    """A request to an endpoint, and what its result depends on."""

    delivery_id: UUID
    endpoint_id: UUID
    message_id: UUID | None
    attempts: int  # with this one
    owed_since: datetime
    is_probe: bool  # the endpoint fails: this is the only call to it
    succeeded_at: datetime | None  # the last success of the endpoint that is noted
    url: str
    event_id: str
    body: bytes
    secrets: Sequence[str]  # none if no key decrypts them


def claim(free: int, now: datetime) -> list[Call]:
    """Claim due deliveries for up to `free` calls, and return the calls."""
    with transaction():
        waiting = {endpoint.id: endpoint for endpoint in due_webhooks.waiting_endpoints(now)}
        if not waiting:
            return []
        claimed = _claim(waiting, free, now)
        told = events.with_subjects({each.event_id for each in claimed})
        gone = [each for each in claimed if _is_gone(told.get(each.event_id))]
        webhook_deliveries.end([each.id for each in gone], "the message was deleted")
        shown = representations.subjects([subject for _, subject in told.values() if subject])
    return [
        _call(each, waiting[each.endpoint_id], told[each.event_id][0], shown, now)
        for each in claimed
        if each not in gone
    ]


def _claim(waiting: Mapping[UUID, Any], free: int, now: datetime) -> Sequence[Any]:
    """Claim deliveries of waiting endpoints. Of all workers, one calls an endpoint that fails."""
    failing = {id_ for id_, endpoint in waiting.items() if endpoint.failing_since is not None}
    probes = due_webhooks.free_probes(failing, now)
    served = [id_ for id_ in waiting if id_ not in failing or id_ in probes]
    shares = components().webhook_slots.shares(served, probes, free)
    claimed = webhook_deliveries.claim(shares, now, now + LEASE)
    due_webhooks.pause(probes & {each.endpoint_id for each in claimed}, now + LEASE)
    return claimed


def _is_gone(told: tuple[Event, Subject | None] | None) -> bool:
    """Tell whether an event, or the message that it is about, was deleted."""
    return told is None or (told[0].message_id is not None and told[1] is None)


def _call(
    delivery: Any, endpoint: Any, event: Event, shown: Mapping[UUID, Any], now: datetime
) -> Call:
    body = representations.webhook_body(
        event,
        shown[event.message_id] if event.message_id else None,
        include_body=endpoint.include_body,
    )
    return Call(
        delivery_id=delivery.id,
        endpoint_id=endpoint.id,
        message_id=delivery.message_id,
        attempts=delivery.attempts,
        owed_since=delivery.created_at,
        is_probe=endpoint.failing_since is not None,
        succeeded_at=endpoint.succeeded_at,
        url=endpoint.url,
        event_id=representations.event_id(event),
        body=_json(body),
        secrets=signing_secrets(endpoint, now),
    )


def _json(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # metadata of a client can hold an integer beyond 64 bits
        return json.dumps(body, default=str).encode()
