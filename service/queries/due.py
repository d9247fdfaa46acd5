"""Whose turn it is: urgent messages first, and every client that waits gets its share.

Every query walks `ix_message_turn`, one descent for each client that waits, however many of its
messages do: a hundred thousand of one client are never looked at to find the one of another.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CTE, ScalarSelect, Select, bindparam, select, union_all

from service.database import db
from service.domain.priority import Priority
from service.models import Message

# Who wrote the time down may have had another clock than who reads it.
_SKEW: Final = timedelta(milliseconds=250)


def next_due(now: datetime, limit: int) -> dict[UUID, datetime]:
    """Return whose turn it is, locked, and since when each was due; at most `limit`.

    What others hold locked is passed over.
    """
    taken = dict[UUID, datetime]()
    for priority, clients in _lanes(now).items():
        taken |= _shares(now, priority, clients, limit - len(taken))
    return taken


def _lanes(now: datetime) -> dict[Priority, list[int]]:
    """Return for each priority the clients that wait, who has waited longest first."""
    rows = db.session.execute(_HEADS, {"until": now + _SKEW}).all()
    lanes = {}
    for place, priority in enumerate(Priority, start=1):
        since = {row[0]: row[place] for row in rows if row[place] is not None}
        lanes[priority] = sorted(since, key=since.__getitem__)
    return lanes


def _waiting_clients() -> CTE:
    """Jump from client to client; the last step finds none, and is null."""
    first = _first_client()
    waiting = select(first.scalar_subquery().label("client_id")).cte("waiting", recursive=True)
    after = first.where(Message.client_id > waiting.c.client_id).scalar_subquery()
    return waiting.union_all(select(after).where(waiting.c.client_id.is_not(None)))


def _first_client() -> Select[int]:
    # By the whole index, so that no other index of clients will do: those hold every message.
    return (
        select(Message.client_id)
        .where(Message.due_at.is_not(None))
        .order_by(Message.client_id, Message.priority, Message.due_at, Message.id)
        .limit(1)
    )


def _head(client_id: Any, priority: Priority) -> ScalarSelect[Any]:
    """Return since when a client waits in a lane, as a query."""
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


# Made once: to make it takes longer than to run it.
_HEADS: Final = _heads()


def _shares(
    now: datetime, priority: Priority, clients: Sequence[int], limit: int
) -> dict[UUID, datetime]:
    """Take equal shares; what one client leaves of its own goes to those who want more."""
    taken = dict[UUID, datetime]()
    while clients and len(taken) < limit:
        rest = limit - len(taken)
        turn = clients[:rest]
        share = ceil(rest / len(turn))
        rows = db.session.execute(
            union_all(*(_share(now, priority, one, share, taken) for one in turn)).limit(rest)
        ).all()
        taken |= {row.id: row.due_at for row in rows}
        given = [row.client_id for row in rows]
        # Who had not its turn yet, then who may have more; a round that fills nothing drops one.
        clients = [*clients[rest:], *(one for one in turn if given.count(one) == share)]
    return taken


def _share(
    now: datetime, priority: Priority, client_id: int, limit: int, taken: Collection[UUID]
) -> Select[UUID, int, datetime]:
    due = (
        select(Message.id, Message.client_id, Message.due_at)
        .where(Message.due_at <= now + _SKEW)
        .where(Message.client_id == client_id, Message.priority == int(priority))
        .where(Message.id.not_in(list(taken)))  # our own locks skip nothing
        .order_by(Message.due_at, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).subquery()
    return select(due.c.id, due.c.client_id, due.c.due_at)
