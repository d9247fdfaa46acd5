"""Turn events into JSON: the body of a webhook, and an item of the feed."""

from typing import Any, Final

from service.models import Event, Message
from service.representations import messages, types
from service.representations.messages import time_text

# Of a message, only endpoints that ask for it and the feed get the content.
_CONTENT: Final = ("body", "media_urls", "content_variables")


def event_id(event: Event) -> str:
    """Return the id that clients see, the same in every delivery."""
    return id_text(event.id)


def id_text(number: int) -> str:
    """Return the id of an event that clients see."""
    return f"evt_{number}"


def webhook_body(event: Event, message: types.Message | None, *, include_body: bool) -> Any:
    """Return the JSON of a webhook: the message as it is now, which is at least the event's."""
    data: dict[str, Any] = dict(message or {})
    if not include_body:
        data = {name: value for name, value in data.items() if name not in _CONTENT}
    return {"type": event.type, "timestamp": time_text(event.created_at), "data": data}


def feed_items(events: list[tuple[Event, Message]]) -> list[types.FeedItem]:
    """Return events with their messages as they are now."""
    shown = {each["id"]: each for each in messages.messages([message for _, message in events])}
    return [
        {
            "id": event_id(event),
            "type": event.type,
            "timestamp": time_text(event.created_at),
            "data": shown[message.id],
        }
        for event, message in events
    ]
