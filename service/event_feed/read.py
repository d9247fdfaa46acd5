"""Reads the events of a client behind a cursor, and waits for new ones."""

import time
from typing import Final, NamedTuple

from service.database import db
from service.models import Event, Message
from service.queries import events
from service.queries.events import Position

# Seconds between two queries of a request that waits. No connection is held in between.
_PAUSE: Final = 0.5


class Page(NamedTuple):
    """Events with their messages, and the position behind them."""

    events: list[tuple[Event, Message]]
    next: Position
    more: bool


def read(client_id: int, after: Position, limit: int, wait: float) -> Page:
    """Return the next events; wait up to `wait` seconds for the first."""
    until = time.monotonic() + wait
    while not (found := events.page(client_id, after, limit + 1)) and time.monotonic() < until:
        db.session.rollback()  # returns the connection
        time.sleep(_PAUSE)
    shown = found[:limit]
    told = events.with_messages({event.id for event in shown})
    pairs = [(event, message) for event in shown if (message := told[event.id][1]) is not None]
    last = (shown[-1].transaction_id, shown[-1].id) if shown else after
    return Page(pairs, last, len(found) > limit)
