"""Makes deliveries to an endpoint due again: one, or all since a time that did not arrive.

Their schedule of retries starts over.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from service.components import components
from service.database import transaction
from service.errors import FieldError, Invalid, NotFound
from service.event_feed.start import wait_for_earlier
from service.models import WebhookDelivery, WebhookEndpoint
from service.queries import webhook_log, webhook_recovery
from service.queries.events import MESSAGE_RECEIVED, Position, this_transaction
from service.webhooks.endpoints import call_now, locked_enabled

# Events that one transaction reads.
_BATCH: Final = 2_000
# Seconds that a part takes.
_LONGEST: Final = 15.0
# A delivery that is due within the lease of a worker may be under way: it keeps its time.
_SOON: Final = timedelta(seconds=45)


def retry(client_id: int, endpoint_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """Make a delivery due now and return it. Raises NotFound or Conflict."""
    with transaction():
        endpoint = locked_enabled(client_id, endpoint_id)
        delivery = webhook_log.delivery(endpoint.id, delivery_id)
        if delivery is None:
            raise NotFound("the endpoint has no such delivery")
        delivery.due_at, delivery.attempts = datetime.now(UTC), 0
        call_now(endpoint)
    return delivery


class Part(NamedTuple):
    """A part of a recovery: deliveries made due, and where to go on; None at the end."""

    deliveries: int
    next: Position | None


def recover(client_id: int, endpoint_id: UUID, since: datetime) -> int:
    """Make due all that an endpoint was not delivered since a time; return how many deliveries.

    Takes as long as it needs, in short transactions. Raises Invalid, NotFound or Conflict.
    """
    part = recover_part(client_id, endpoint_id, since)
    count = part.deliveries
    while part.next is not None:
        part = recover_part(client_id, endpoint_id, since, part.next)
        count += part.deliveries
    return count


def recover_part(
    client_id: int, endpoint_id: UUID, since: datetime, after: Position | None = None
) -> Part:
    """Do the work of `recover` for up to 15 s, from the beginning or from the end of a part."""
    until, position, count = monotonic() + _LONGEST, after, 0
    if position is None:
        position = _beginning(client_id, endpoint_id, since)
    while position is not None and monotonic() < until:
        with transaction():
            endpoint = locked_enabled(client_id, endpoint_id)
            events = webhook_recovery.events_after(client_id, position, _BATCH)
            count += _owe([event for event in events if _fits(endpoint, event, since)], endpoint)
        position = _end(events)
    return Part(count, position)


def _beginning(client_id: int, endpoint_id: UUID, since: datetime) -> Position | None:
    _check(since)
    with transaction():
        endpoint = locked_enabled(client_id, endpoint_id)
        # A call that began before and fails now must not pause the endpoint for minutes.
        endpoint.failures = 0
        call_now(endpoint)  # deliveries that are due soon wait only for the end of its pause
        started = this_transaction()
    wait_for_earlier(started)  # they may have seen the endpoint disabled: their events count
    with transaction():
        return webhook_recovery.position_at(since)


def _check(since: datetime) -> None:
    """Check that the events since a time are still kept. Raises Invalid."""
    now, days = datetime.now(UTC), components().settings.keep_events
    problem = None
    if since > now:
        problem = "must be in the past"
    elif since < now - timedelta(days=days):
        problem = f"must be at most {days} days ago: older events are deleted"
    if problem:
        raise Invalid(
            "nothing can be recovered since this time; see errors", [FieldError("since", problem)]
        )


def _end(events: Sequence[Any]) -> Position | None:
    """Return the position behind a batch; None after the last batch."""
    return (events[-1].transaction_id, events[-1].id) if len(events) == _BATCH else None


def _fits(endpoint: WebhookEndpoint, event: Any, since: datetime) -> bool:
    return (
        event.created_at >= since
        and event.type in endpoint.types
        and (event.type == MESSAGE_RECEIVED or event.status in endpoint.statuses)
    )


def _owe(events: Sequence[Any], endpoint: WebhookEndpoint) -> int:
    """Make due the deliveries of events, or add them; return how many."""
    now = datetime.now(UTC)
    present = webhook_recovery.deliveries(endpoint.id, [event.id for event in events])
    absent = [event for event in events if event.id not in present]
    told = webhook_recovery.told_to({event.message_id for event in absent}, endpoint.id)
    owed = [each for each in present.values() if each.due_at or not each.delivered_at]
    soon = {each.id for each in owed if each.due_at and each.due_at <= now + _SOON}
    waiting = [each.id for each in owed if each.id not in soon]
    added = [_row(endpoint, event, now) for event in absent if event.message_id in told]
    if soon:
        webhook_recovery.start_over(soon)
    if waiting:
        webhook_recovery.make_due(waiting, now)
    if added:
        webhook_recovery.add(added)
    if waiting or added:
        call_now(endpoint)
    return len(waiting) + len(added)


def _row(endpoint: WebhookEndpoint, event: Any, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "endpoint_id": endpoint.id,
        "event_id": event.id,
        "message_id": event.message_id,
        "created_at": now,
        "due_at": now,
        "attempts": 0,
    }
