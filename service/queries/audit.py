"""Queries of the audit. Each reads one batch of a table, in the order of a key.

A whole table in one statement would exceed the statement timeout. Each query also returns the last
key of its batch, where the next one begins; None at the end.
"""

from collections import Counter
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from service.database import db
from service.domain.report import Source
from service.domain.status import FINAL, Status
from service.models import Attempt, DeadLetter, Event, Message, StatusEvent, WebhookDelivery
from service.queries.dialect import is_postgresql
from service.queries.events import unassigned_transaction as unassigned

BATCH: Final = 10_000


class Messages(NamedTuple):
    """Counts of one batch of messages; overdue by `claims`, `pending`, `doubts` and `person`."""

    by_status: Counter[Status]
    overdue: Counter[str]


def messages(after: UUID | None, before: datetime) -> tuple[Messages, UUID | None]:
    """Count a batch of messages; overdue are those that were due before `before`."""
    batch, last = batch_after(Message.id, after)
    in_doubt = Message.status == Status.IN_DOUBT
    overdue = {
        "claims": and_(Message.status == Status.SUBMITTING, Message.claimed_until < before),
        "pending": and_(Message.status == Status.PENDING, Message.due_at < before),
        "doubts": and_(in_doubt, Message.check_at < before),
        "person": and_(in_doubt, Message.check_at.is_(None)),  # only a person can decide
    }
    counts = [func.count(case((condition, 1))) for condition in overdue.values()]
    query = select(Message.status, func.count(), *counts).where(*batch).group_by(Message.status)
    counted = Messages(Counter(), Counter())
    for status, number, *numbers in db.session.execute(query):
        counted.by_status[status] = number
        counted.overdue.update(dict(zip(overdue, numbers, strict=True)))
    return counted, last


def shared_sids(after: str | None) -> tuple[int, str | None]:
    """Count the SIDs of a batch that belong to more than one attempt."""
    batch, last = batch_after(Attempt.provider_sid, after)
    shared = select(Attempt.provider_sid).where(*batch)
    shared = shared.group_by(Attempt.provider, Attempt.provider_sid).having(func.count() > 1)
    return count_rows(shared), last


def adoptable_orphans(after: int | None, before: datetime) -> tuple[int, int | None]:
    """Count the orphans of a batch received before `before` whose SID belongs to an attempt."""
    batch, last = batch_after(StatusEvent.id, after, StatusEvent.message_id.is_(None))
    bound = first_row(
        Attempt.id,
        Attempt.provider_sid == StatusEvent.provider_sid,
        Attempt.provider == StatusEvent.provider,
    )
    orphans = select(StatusEvent.id).where(*batch, StatusEvent.received_at < before)
    return count_rows(orphans.where(bound.is_not(None))), last


def callbacks_missed(after: bytes | None) -> tuple[int, bytes | None]:
    """Count the statuses of a batch of the ledger that polling found and no callback reported."""
    batch, last = batch_after(StatusEvent.identity, after)
    polled, other = StatusEvent, aliased(StatusEvent)
    same = other.message_id == polled.message_id, other.status == polled.status
    callback = first_row(other.id, *same, other.source == Source.CALLBACK)
    # A status that was polled twice counts once.
    earlier = other.source == Source.RECONCILIATION, other.attempt_id.is_not(None)
    counted = first_row(other.id, *same, *earlier, other.id < polled.id)
    missed = select(polled.identity).where(
        *batch,
        polled.source == Source.RECONCILIATION,
        polled.attempt_id.is_not(None),
        polled.status.in_([*FINAL, Status.SENT]),
        callback.is_(None),
        counted.is_(None),
    )
    return count_rows(missed), last


def hidden_events(after: int | None) -> tuple[int, int | None]:
    """Count the events of a batch with a number that no transaction of this server has had.

    The database was restored to a server with lower numbers: the feed does not show them.
    """
    batch, last = batch_after(Event.id, after)
    if not is_postgresql():
        return 0, last
    return count_rows(select(Event.id).where(*batch, Event.transaction_id >= unassigned())), last


def deliveries_without_event(after: UUID | None) -> tuple[int, UUID | None]:
    """Count the deliveries of a batch that are owed and whose event does not exist."""
    batch, last = batch_after(WebhookDelivery.id, after)
    event = first_row(Event.id, Event.id == WebhookDelivery.event_id)
    owed = select(WebhookDelivery.id).where(*batch, WebhookDelivery.due_at.is_not(None))
    return count_rows(owed.where(event.is_(None))), last


def dead_letters(after: int | None) -> tuple[int, int | None]:
    """Count a batch of dead letters."""
    batch, last = batch_after(DeadLetter.id, after)
    return count_rows(select(DeadLetter.id).where(*batch)), last


def batch_after(
    key: InstrumentedAttribute[Any], after: Any, *where: ColumnElement[bool]
) -> tuple[list[ColumnElement[bool]], Any]:
    """Return the conditions for the rows of a batch, and its last key.

    The last key is read before the batch: rows that are added meanwhile do not move it.
    """
    batch: list[ColumnElement[bool]] = [*where, key.is_not(None)]
    if after is not None:
        batch.append(key > after)
    ends = select(key).where(*batch).order_by(key).offset(BATCH - 1).limit(1)
    last = db.session.scalar(ends)
    if last is not None:
        batch.append(key <= last)
    return batch, last


def first_row(column: InstrumentedAttribute[Any], *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Return a subquery for one row by index: EXISTS might scan the whole other table."""
    return select(column).where(*where).limit(1).scalar_subquery()


def count_rows(rows: Select[Any]) -> int:
    """Return how many rows a query returns."""
    return db.session.scalar(select(func.count()).select_from(rows.subquery())) or 0
