"""The events of the fake."""

from collections.abc import Callable, Collection
from copy import deepcopy
from datetime import UTC, datetime
from threading import Condition
from typing import Any, cast

from waybill_client.events import Event
from waybill_client.fake.fields import time_text
from waybill_client.fake.refusals import Refusal
from waybill_client.types import InboundMessage, Message


class Feed:
    """Events in one order. A cursor is the number of events before it."""

    def __init__(self, current: Callable[[Event], Message | InboundMessage]) -> None:
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
        return self._add("message.updated", message)

    def add_received(self, message: InboundMessage) -> Event:
        """Add the event of an inbound message."""
        return self._add("message.received", message)

    def _add(self, type_: str, message: Message | InboundMessage) -> Event:
        now = time_text(datetime.now(UTC))
        with self._added:
            number = f"evt_{len(self._events) + 1}"
            event = cast(Event, {"id": number, "type": type_, "timestamp": now, "data": message})
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
            self._added.wait_for(lambda: self._places(after, query["types"]), query["wait"])
        places = self._places(after, query["types"])
        page, more = places[: query["limit"]], len(places) > query["limit"]
        return {
            "events": [self._shown(self._events[place]) for place in page],
            "next_cursor": str(page[-1] + 1 if more else len(self._events)),
            "has_more": more,
        }

    def _places(self, after: int, types: Collection[str]) -> list[int]:
        """Return the places of the events of these types behind a cursor."""
        places = range(after, len(self._events))
        return [place for place in places if self._events[place]["type"] in types]

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
        return cast(Event, {**deepcopy(event), "data": self._current(event)})
