"""The feed for operators: the events of several clients, and a new order after a restore."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from service.database import transaction
from service.database.batches import BATCH
from service.event_feed import cursor, read
from service.event_feed.cursor import FEED, Cursor
from service.installation_keys import replace_database_key
from service.models import Event
from service.queries import events


def latest(client_ids: Collection[int], limit: int) -> tuple[Sequence[Event], Cursor]:
    """Return the last events of these clients, and the cursor behind them."""
    with transaction():
        last = read.end()
        found = [
            event
            for client_id in client_ids
            for event in events.latest(client_id, last.position, limit)
        ]
    return sorted(found, key=_place)[-limit:], last


def following(
    client_ids: Collection[int], after: Cursor, limit: int
) -> tuple[Sequence[Event], Cursor]:
    """Return the next events of these clients behind a cursor, and the cursor behind them.

    Raises Gone.
    """
    with transaction():
        last = read.end()
        cursor.check(after, last.position, datetime.now(UTC))
        found = [
            event
            for client_id in client_ids
            for event in events.page(client_id, after.position, last.position, limit)
        ]
    shown = sorted(found, key=_place)[:limit]
    if len(shown) == limit:
        last = Cursor(last.feed, _place(shown[-1]), shown[-1].created_at)
    return shown, last


def restart() -> int:
    """Give the events of a restored database an order, and end every cursor; return how many.

    A restored database may begin with lower transaction numbers than its events have: these would
    be hidden, and later events would come before them.
    """
    with transaction():
        until = events.last_id()
    after = count = 0
    while after < until:
        with transaction():
            after, renumbered = events.renumber(after, until, BATCH)
        count += renumbered
    replace_database_key(FEED)
    return count


def _place(event: Event) -> tuple[int, int]:
    return event.transaction_id, event.id
