"""Reads the events of a client behind a cursor, and waits for new ones."""

from collections.abc import Collection
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Final, NamedTuple

from service.database import db
from service.event_feed import cursor
from service.event_feed.cursor import Cursor
from service.models import Event
from service.queries import events
from service.queries.events import Subject

# Seconds between two queries of a request that waits. No connection is held in between.
_PAUSE: Final = 0.5


class Page(NamedTuple):
    """Events with their messages, and the cursor behind them.

    Events of deleted messages are left out: the cursor passes them.
    """

    events: list[tuple[Event, Subject]]
    next: Cursor
    more: bool

    @property
    def is_last(self) -> bool:
        """Tell whether there is nothing to show yet, here and behind the cursor."""
        return not self.events and not self.more


def end() -> Cursor:
    """Return the cursor behind every event that is shown now."""
    now, feed = datetime.now(UTC), cursor.current_feed()
    return Cursor(feed, events.end(), now)


def read(
    client_id: int, after: Cursor | None, limit: int, types: Collection[str] | None = None
) -> Page:
    """Return the next events behind a cursor, for None the oldest. Raises Gone."""
    # Before the page is read: what is committed in between comes in the next one.
    last = end()
    if after is not None:
        cursor.check(after, last.position, last.time)
    begin = events.START if after is None else after.position
    since = cursor.oldest_shown(last.time) if after is None else None
    compared: Event | None = None
    if types is None:
        found = events.page(client_id, begin, last.position, limit + 1, since)
    else:
        found, compared = events.page_of_types(
            client_id, begin, last.position, limit + 1, types, since
        )
    shown = found[:limit]
    passed = shown[-1] if len(found) > limit else compared
    if passed is not None:
        last = Cursor(last.feed, (passed.transaction_id, passed.id), passed.created_at)
    told = events.with_subjects({event.id for event in shown}) if shown else {}
    pairs = [(event, message) for event in shown if (message := told[event.id][1]) is not None]
    return Page(pairs, last, passed is not None)


def wait(
    client_id: int, after: Cursor, limit: int, types: Collection[str] | None, seconds: float
) -> Page:
    """Return the next events behind a cursor as soon as there are any. Raises Gone."""
    until = monotonic() + seconds
    while True:
        db.session.close()  # returns the connection
        sleep(max(0.0, min(_PAUSE, until - monotonic())))
        page = read(client_id, after, limit, types)
        if not page.is_last or monotonic() >= until:
            return page
        after = page.next
