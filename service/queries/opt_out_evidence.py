"""Queries that find what refusals and deliveries say about opt-outs."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select
from sqlalchemy.orm import aliased

from service.database import db
from service.domain.opt_out import PROVIDER
from service.domain.status import SUCCESSES
from service.models import Attempt, Message, OptOut
from service.queries.dialect import any_of
from service.queries.opt_outs import RCS, Pair
from service.queries.redaction import PSEUDONYM

Sent = tuple[Pair, datetime]  # recipient and sender of a message, and when it was sent

# An opt-out from a Messaging Service covers all of its numbers, also where a message names one.
_SENDER: Final = func.coalesce(Message.messaging_service_sid, Message.sender, "")
_PERSON: Final = case(
    (Message.to.startswith(RCS), func.substr(Message.to, len(RCS) + 1)), else_=Message.to
)
_SENT_AT: Final = case((Message.send_at > Attempt.started_at, Message.send_at),
                       else_=Attempt.started_at)  # fmt: skip
# Later messages of the client that are compared, of a person whose refusal is recorded late.
_MOST_COMPARED: Final = 100


def refused(attempt_ids: Collection[UUID]) -> dict[UUID, Sent]:
    """Return recipient, sender and time of refused attempts.

    Without erased recipients, and without those to whom the client's later message from this
    sender was delivered: the refusal is recorded late.
    """
    erased = Message.to.startswith(PSEUDONYM)
    query = _sent(attempt_ids).where(~erased, ~_later_delivery())
    return {
        id_: (Pair(person, sender, provider), sent_at)
        for id_, person, sender, provider, sent_at in db.session.execute(query)
    }


def contradicted(attempt_ids: Collection[UUID]) -> list[Sent]:
    """Return recipient, sender and time of delivered attempts to people with earlier refusals."""
    begun = and_(OptOut.active, OptOut.reason == PROVIDER)
    refused_at = func.coalesce(OptOut.refused_at, case((begun, OptOut.since)))
    same = and_(OptOut.to == _PERSON, OptOut.sender == _SENDER, OptOut.provider == Message.provider)
    query = _sent(attempt_ids).join(OptOut, same).where(refused_at < _SENT_AT)
    return [
        (Pair(person, sender, provider), sent_at)
        for _, person, sender, provider, sent_at in db.session.execute(query)
    ]


def _sent(attempt_ids: Collection[UUID]) -> Select[UUID, str, str, str, datetime]:
    return (
        select(Attempt.id, _PERSON, _SENDER, Message.provider, _SENT_AT)
        .join(Message, Message.id == Attempt.message_id)
        .where(any_of(Attempt.id, attempt_ids))
    )


def _later_delivery() -> ColumnElement[bool]:
    later = aliased(Message)
    newer = (
        select(later.status, later.submitted_at, later.provider)
        .add_columns(func.coalesce(later.messaging_service_sid, later.sender, "").label("sender"))
        .where(later.client_id == Message.client_id, later.to == Message.to)
        .where(later.id > Message.id)
        .limit(_MOST_COMPARED)
        .correlate(Message)
        .subquery()
    )
    return exists(
        select(newer.c.status)
        .where(newer.c.status.in_(SUCCESSES), newer.c.provider == Message.provider)
        .where(newer.c.sender == _SENDER, newer.c.submitted_at > _SENT_AT)
        .correlate(Message, Attempt)
    )
