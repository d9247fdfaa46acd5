"""Due messages in the order of sending: urgent ones first, in equal shares for all clients.

Every query uses the index `ix_message_turn`, with one descent for each client with due messages:
100,000 messages of one client are not read to find the message of another.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CTE, ScalarSelect, Select, bindparam, select, union_all

from service.database import db
from service.domain.priority import Priority
from service.models import Message

# The clocks of two hosts may differ.
_CLOCK_SKEW: Final = timedelta(milliseconds=250)


def next_due(now: datetime, limit: int) -> dict[UUID, datetime]:
    """Return the next due messages, locked, and when each was due; at most `limit`.

    Messages that other workers have locked are skipped.
    """
    taken = dict[UUID, datetime]()
    for priority, clients in _waiting_by_priority(now).items():
        taken |= _shares(now, priority, clients, limit - len(taken))
    return taken


def _waiting_by_priority(now: datetime) -> dict[Priority, list[int]]:
    """Return for each priority the clients with due messages, the longest due first."""
    rows = db.session.execute(_HEADS, {"until": now + _CLOCK_SKEW}).all()
    clients = {}
    for place, priority in enumerate(Priority, start=1):
        since = {row[0]: row[place] for row in rows if row[place] is not None}
        clients[priority] = sorted(since, key=since.__getitem__)
    return clients


def _waiting_clients() -> CTE:
    """Step from client to client; the last step finds none and is null."""
    first = _first_client()
    waiting = select(first.scalar_subquery().label("client_id")).cte("waiting", recursive=True)
    after = first.where(Message.client_id > waiting.c.client_id).scalar_subquery()
    return waiting.union_all(select(after).where(waiting.c.client_id.is_not(None)))


def _first_client() -> Select[int]:
    # Ordered by all columns of the index, so that no larger index of clients is chosen.
    return (
        select(Message.client_id)
        .where(Message.due_at.is_not(None))
        .order_by(Message.client_id, Message.priority, Message.due_at, Message.id)
        .limit(1)
    )


def _head(client_id: Any, priority: Priority) -> ScalarSelect[Any]:
    """Select when the longest due message of a client and priority was due."""
    return (
        select(Message.due_at)
        .where(Message.client_id == client_id, Message.priority == int(priority))
        .where(Message.due_at <= bindparam("until"))
        .order_by(Message.due_at, Message.id)
        .limit(1)
        .scalar_subquery()
    )


def _heads() -> Select[Any]:
    client_id = _waiting_clients().c.client_id
    heads = [_head(client_id, priority) for priority in Priority]
    return select(client_id, *heads).where(client_id.is_not(None))


# Built once: building it takes longer than running it.
_HEADS: Final = _heads()


def _shares(
    now: datetime, priority: Priority, clients: Sequence[int], limit: int
) -> dict[UUID, datetime]:
    """Return equal shares; what one client does not use goes to those with more messages."""
    taken = dict[UUID, datetime]()
    while clients and len(taken) < limit:
        rest = limit - len(taken)
        served = clients[:rest]
        share = ceil(rest / len(served))
        rows = db.session.execute(
            union_all(*(_share(now, priority, client, share, taken) for client in served)).limit(
                rest
            )
        ).all()
        taken |= {row.id: row.due_at for row in rows}
        counts = Counter(row.client_id for row in rows)
        # Clients that were not served yet, then those that used their whole share.
        clients = [*clients[rest:], *(client for client in served if counts[client] == share)]
    return taken


def _share(
    now: datetime, priority: Priority, client_id: int, limit: int, taken: Collection[UUID]
) -> Select[UUID, int, datetime]:
    due = (
        select(Message.id, Message.client_id, Message.due_at)
        .where(Message.due_at <= now + _CLOCK_SKEW)
        .where(Message.client_id == client_id, Message.priority == int(priority))
        .where(Message.id.not_in(list(taken)))  # our own locks are not skipped
        .order_by(Message.due_at, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).subquery()
    return select(due.c.id, due.c.client_id, due.c.due_at)
