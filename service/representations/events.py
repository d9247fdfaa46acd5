"""Turn events into JSON: the body of a webhook, and an item of the feed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

from service.models import Event, InboundMessage, Message
from service.queries.events import Subject
from service.representations import inbound, messages
from service.representations.inbound_types import ReceivedFeedItem
from service.representations.messages import time_text
from service.representations.types import FeedItem

# Of a message, only endpoints that ask for it and the feed get the content.
CONTENT: Final = ("body", "media_urls", "content_variables", "media", "raw")


def event_id(event: Event) -> str:
    """Return the id that clients see, the same in every delivery."""
    return id_text(event.id)


def id_text(number: int) -> str:
    """Return the id of an event that clients see."""
    return f"evt_{number}"


def subjects(subjects: Collection[Subject]) -> dict[UUID, Any]:
    """Return messages, and inbound messages, as they are now, by id."""
    sent = {each.id: each for each in subjects if isinstance(each, Message)}
    received = {each.id: each for each in subjects if isinstance(each, InboundMessage)}
    shown: list[Any] = [*messages.messages(list(sent.values()))] if sent else []
    shown += [inbound.inbound(each) for each in received.values()]
    return {each["id"]: each for each in shown}


def webhook_body(event: Event, message: Mapping[str, Any] | None, *, include_body: bool) -> Any:
    """Return the JSON of a webhook: the message as it is now, which is at least the event's."""
    data: dict[str, Any] = dict(message or {})
    if not include_body:
        data = {name: value for name, value in data.items() if name not in CONTENT}
    return {"type": event.type, "timestamp": time_text(event.created_at), "data": data}


def feed_items(events: Sequence[tuple[Event, Subject]]) -> list[FeedItem | ReceivedFeedItem]:
    """Return events with their messages as they are now."""
    shown = subjects([subject for _, subject in events])
    items = [
        {
            "id": event_id(event),
            "type": event.type,
            "timestamp": time_text(event.created_at),
            "data": shown[subject.id],
        }
        for event, subject in events
    ]
    return cast(list[FeedItem | ReceivedFeedItem], items)
