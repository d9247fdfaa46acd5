"""The events of the fake."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from threading import Condition
from typing import Any

from waybill_client.events import Event
from waybill_client.fake.fields import time_text
from waybill_client.fake.refusals import Refusal
from waybill_client.types import Message


class Feed:
    """Events in one order. A cursor is the number of events before it."""

    def __init__(self, current: Callable[[str], Message]) -> None:
        self._current = current
        self._events = list[Event]()
        self._forgotten = 0
        self._added = Condition()

    @property
    def events(self) -> list[Event]:
        """Return the events that are kept, each with its message as it is now."""
        return [self._shown(event) for event in self._events[self._forgotten :]]

    def add(self, message: Message) -> Event:
        """Add the event of a change."""
        now = time_text(datetime.now(UTC))
        with self._added:
            number = len(self._events) + 1
            event = Event(id=f"evt_{number}", type="message.updated", timestamp=now, data=message)
            self._events.append(event)
            self._added.notify_all()
        return event

    def forget(self) -> None:
        """Delete all events, as the real server does with old ones."""
        self._forgotten = len(self._events)

    def page(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return the events behind a cursor; wait for one. Raises Refusal."""
        after = self._position(query["after"])
        with self._added:
            self._added.wait_for(lambda: len(self._events) > after, query["wait"])
        page = self._events[after : after + query["limit"]]
        end = after + len(page)
        return {
            "events": [self._shown(event) for event in page],
            "next_cursor": str(end),
            "has_more": end < len(self._events),
        }

    def _position(self, after: str | None) -> int:
        if after is None:
            return self._forgotten
        if after == "now":
            return len(self._events)
        if int(after) > len(self._events):
            raise Refusal(422, "the request has invalid fields; see errors", {"after": "unknown"})
        if int(after) < self._forgotten:
            raise Refusal(410, "events behind this cursor were deleted because of their age")
        return int(after)

    def _shown(self, event: Event) -> Event:
        return {**deepcopy(event), "data": self._current(event["data"]["id"])}
