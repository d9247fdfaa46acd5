"""Starts the events of a client when it first asks for them.

An event costs a fifth of recording a callback, so it is not written for clients that read none.
"""

from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Final

from service.components import components
from service.database import transaction
from service.domain.message_ids import first_id
from service.queries import event_clients, events, owed_events, received_events

#: Messages of each direction from before the start that get an event: the newest.
MOST_EARLIER: Final = 10_000
# Seconds to wait for transactions that began before the start and may write no events.
_LONGEST_WAIT: Final = 5.0


def ensure_started(client_id: int) -> None:
    """Write events of a client from now on, and one for each of its earlier messages.

    Also for the earlier messages from persons, after the others.
    A process that dies in between leaves the second part to the next request.
    """
    if event_clients.state(client_id).events_complete:
        return
    now = datetime.now(UTC)
    with transaction():
        event_clients.begin(client_id, now)
        started = events.this_transaction()
    wait_for_earlier(started)
    first = first_id(now - timedelta(days=components().settings.keep_events))
    with transaction():
        if event_clients.complete(client_id):
            earlier = event_clients.messages_since(client_id, first, MOST_EARLIER)
            owed_events.add_events(earlier, now)
            received = event_clients.inbound_since(client_id, first, MOST_EARLIER)
            received_events.add_events(received, now)


def wait_for_earlier(started: int) -> None:
    """Wait, for up to 5 s, until all transactions before this number have ended."""
    until = monotonic() + _LONGEST_WAIT
    while monotonic() < until:
        with transaction():
            ended, _ = events.end()
            if ended >= started:
                return
        sleep(0.02)
