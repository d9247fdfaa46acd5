"""Queries that find the messages that persons answer, for a whole batch in one query.

Neither a recipient nor a sender has an index over all clients: an index of `message` costs each
post, and clients are few. So there is one descent for each person and client.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    FromClause,
    Integer,
    ScalarSelect,
    Subquery,
    Text,
    Uuid,
    func,
    or_,
    select,
)
from sqlalchemy.types import TypeEngine

from service.database import db
from service.domain.message_ids import first_id
from service.domain.status import Status
from service.models import Attempt, Client, Message
from service.queries.dialect import any_of, is_postgresql, sent_rows

# Newest messages of a client to one person that are compared with the sender.
_MOST_COMPARED: Final = 200
# A message with such a status was not sent.
_NOT_SENT: Final = (Status.FAILED, Status.CANCELED, Status.EXPIRED, Status.SCHEDULED)
_SOUGHT: Final[Mapping[str, TypeEngine[Any]]] = {
    "place": Integer(),
    "person": Text(),
    "sender": Text(),
    "service": Text(),
    "provider": Text(),
    "client_id": Integer(),
    "since": Uuid(),
    "until": Uuid(),
}


class Answered(NamedTuple):
    """A message that a person answers, and its client."""

    id: UUID
    client_id: int


class Conversation(NamedTuple):
    """A person and our side of a conversation, and when its messages were accepted."""

    persons: Collection[str]  # the addresses of the person
    sender: str
    service: str | None
    provider: str
    client_id: int | None  # None: of any client
    since: datetime
    until: datetime


def of_attempts(attempt_ids: Collection[UUID]) -> dict[UUID, Answered]:
    """Return the messages of attempts, by attempt."""
    query = select(Attempt.id, Message.id, Message.client_id)
    query = query.join(Message, Message.id == Attempt.message_id)
    rows = db.session.execute(query.where(any_of(Attempt.id, attempt_ids))) if attempt_ids else ()
    return {row[0]: Answered(row[1], row[2]) for row in rows}


def of_sids(sids: Collection[str]) -> dict[tuple[str, str], Answered]:
    """Return the messages to which providers gave these SIDs, by provider and SID."""
    query = select(Attempt.provider, Attempt.provider_sid, Message.id, Message.client_id)
    query = query.join(Message, Message.id == Attempt.message_id)
    rows = db.session.execute(query.where(any_of(Attempt.provider_sid, sids))) if sids else ()
    return {(row[0], row[1] or ""): Answered(row[2], row[3]) for row in rows}


def last_of(conversations: Sequence[Conversation]) -> dict[int, Answered]:
    """Return the newest message of each conversation that was sent, by place in the sequence."""
    rows = [row for place, each in enumerate(conversations) for row in _rows(place, each)]
    if not rows:
        return {}
    answered = db.session.execute(_newest(is_postgresql()), {"rows": json.dumps(rows)})
    newest = dict[int, Answered]()
    for place, client_id, message_id in answered:
        if place not in newest or newest[place].id.int < message_id.int:
            newest[place] = Answered(message_id, client_id)
    return newest


def _rows(place: int, sought: Conversation) -> list[Mapping[str, Any]]:
    ends = {"since": first_id(sought.since).hex, "until": first_id(sought.until).hex}
    named = {name: getattr(sought, name) for name in ("sender", "service", "provider", "client_id")}
    return [{"place": place, "person": person, **named, **ends} for person in sought.persons]


@cache
def _newest(_postgresql: bool) -> Any:
    """Return the query, built once for each dialect: building takes as long as running it."""
    sought = sent_rows("sought", _SOUGHT)
    of_client = Client.id == func.coalesce(sought.c.client_id, Client.id)
    messages = (
        select(
            sought.c.place,
            Client.id.label("client_id"),
            _last_message(sought).label("message_id"),
        )
        .select_from(sought)
        .join(Client, of_client)
        .subquery()
    )
    return select(messages).where(messages.c.message_id.is_not(None))


def _last_message(sought: FromClause) -> ScalarSelect[UUID]:
    """Select the last message of one client to one person from one sender."""
    message = _compared(sought).c
    from_sender = message.sender == sought.c.sender
    from_service = message.messaging_service_sid == sought.c.service
    return (
        select(message.id)
        .where(message.provider == sought.c.provider, message.attempts > 0)
        .where(message.status.not_in(_NOT_SENT))
        .where(or_(from_sender, from_service))
        .order_by(message.id.desc().nulls_last())
        .limit(1)
        .correlate(Client, sought)
        .scalar_subquery()
    )


def _compared(sought: FromClause) -> Subquery:
    return (
        select(Message)
        .where(Message.client_id == Client.id, Message.to == sought.c.person)
        .where(Message.id >= sought.c.since, Message.id < sought.c.until)
        .order_by(Message.id.desc().nulls_last())
        .limit(_MOST_COMPARED)
        .correlate(Client, sought)
        .subquery()
    )
