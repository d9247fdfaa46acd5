"""Queries of the audit on inbound messages, in batches as in `service/queries/audit.py`."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, case, func, literal_column, select

from service.database import db
from service.domain.keywords import Keyword
from service.models import Client, Event, InboundMessage, Message, OptOut
from service.providers.sandbox import SANDBOX
from service.queries.audit import batch_after, count_rows, first_row
from service.queries.dialect import any_of
from service.queries.events import MESSAGE_RECEIVED
from service.queries.redaction import PSEUDONYM

# A literal, as in the condition of the partial index.
_RECEIVED: Final = Event.type == literal_column(f"'{MESSAGE_RECEIVED}'")
_CHANGES: Final = (Keyword.STOP, Keyword.START)


def messages(after: UUID | None, since: datetime) -> tuple[Counter[str], UUID | None]:
    """Count a batch of inbound messages: all, unowned, untold, told to or answering another client.

    Untold are those since `since` without an event.
    """
    batch, last = batch_after(InboundMessage.id, after)
    rows = select(func.count(), func.count(case((InboundMessage.client_id.is_(None), 1))))
    number, unowned = db.session.execute(rows.where(*batch)).one()
    owned = select(InboundMessage.id).where(*batch, InboundMessage.client_id.is_not(None))
    counts = Counter(
        all=number,
        unowned=unowned,
        untold=count_rows(_untold(owned, since)),
        told_to_other=count_rows(_told_to_other(owned)),
        misled=count_rows(_misled(owned)),
    )
    return counts, last


def _untold(owned: Select[UUID], since: datetime) -> Select[UUID]:
    """Select messages that arrived after their client asked for events, and have none."""
    event = first_row(Event.id, Event.message_id == InboundMessage.id, _RECEIVED)
    arrived = InboundMessage.received_at
    told = owned.join(Client, Client.id == InboundMessage.client_id)
    return told.where(Client.events_since < arrived, arrived >= since, event.is_(None))


def _told_to_other(owned: Select[UUID]) -> Select[UUID]:
    other = Event.client_id != InboundMessage.client_id
    event = first_row(Event.id, Event.message_id == InboundMessage.id, _RECEIVED, other)
    return owned.where(event.is_not(None))


def _misled(owned: Select[UUID]) -> Select[UUID]:
    answered = Message.id == InboundMessage.in_reply_to
    other = first_row(Message.id, answered, Message.client_id != InboundMessage.client_id)
    return owned.where(InboundMessage.in_reply_to.is_not(None), other.is_not(None))


def keywords(after: UUID | None) -> tuple[list[InboundMessage], UUID | None]:
    """Return the messages of a batch that begin or end an opt-out, without erased numbers."""
    batch, last = batch_after(InboundMessage.id, after)
    query = select(InboundMessage).where(
        *batch,
        InboundMessage.keyword.in_(_CHANGES),
        InboundMessage.provider != SANDBOX,
        InboundMessage.from_address.not_like(f"{PSEUDONYM}%"),
    )
    return list(db.session.scalars(query.order_by(InboundMessage.id))), last


def opt_outs_of(recipients: Collection[str]) -> list[OptOut]:
    """Return all that the suppression list knows of recipients, also what has ended."""
    return list(db.session.scalars(select(OptOut).where(any_of(OptOut.to, recipients))))
