"""The cursor of the feed: a position and its age, as text that clients do not interpret."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from service.components import components
from service.errors import Gone
from service.installation_keys import database_key
from service.queries.events import Position

# Name of the key that marks the cursors of this feed.
FEED: Final = "event_feed"
# A reader that starts at the oldest event reads on before its cursor ends, and events of a long
# transaction are a little older than the cursors before them.
_GRACE: Final = timedelta(hours=1)
_FORM: Final = re.compile(r"([0-9a-f]{6})-(\d{1,18})-(\d{1,18})-(\d{1,14})")
_ADVICE: Final = (
    "events may be missing: read your messages from GET /v1/messages, and start again without after"
)


class Cursor(NamedTuple):
    """A position; no event behind it is older than `time`. `feed` marks an order of events."""

    feed: str
    position: Position
    time: datetime


def encode(cursor: Cursor) -> str:
    """Return a cursor as text."""
    transaction, event_id = cursor.position
    return f"{cursor.feed}-{transaction}-{event_id}-{int(cursor.time.timestamp() * 1000)}"


def decode(text: str) -> Cursor:
    """Return the cursor in a text. Raises ValueError for any other text."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("must be now or the next_cursor of an earlier answer")
    time = datetime.fromtimestamp(int(match[4]) / 1000, UTC)
    return Cursor(match[1], (int(match[2]), int(match[3])), time)


def current_feed() -> str:
    """Return the mark of cursors that are valid."""
    return database_key(FEED)[:3].hex()


def oldest_shown(now: datetime) -> datetime:
    """Return the time of the oldest events that a reader without a cursor gets."""
    return now - timedelta(days=components().settings.keep_events)


def oldest_kept(now: datetime) -> datetime:
    """Return the time before which events are deleted."""
    return oldest_shown(now) - 2 * _GRACE


def check(cursor: Cursor, end: Position, now: datetime) -> None:
    """Raise Gone if events behind a cursor may be missing.

    `end` is the position behind the last event. A cursor behind it is from a database that has lost
    its newest transactions since.
    """
    if cursor.time < oldest_shown(now) - _GRACE:
        days = components().settings.keep_events
        raise Gone(f"the cursor is older than {days} days; {_ADVICE}")
    if cursor.feed != current_feed() or cursor.position > end:
        raise Gone(f"the cursor is from before the database was restored; {_ADVICE}")
