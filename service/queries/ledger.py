"""Queries of recording: the locked outcomes of messages, and the ledger under them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Table, case, select

from service.database import db
from service.models import Attempt, Message, StatusEvent
from service.queries.attempts import AttemptRef
from service.queries.dialect import any_of, filter_returned, insert_all, update_each

_OUTCOME: Final = select(
    Message.id,
    Message.client_id,
    Message.provider,
    Message.status,
    Message.outcome_attempt,
    Message.updated_at,
    Message.provider_sid,
    Message.error_code,
    Message.error_message,
    Message.failed_in,
    Message.delivered_in,
    Message.segments,
    Message.price,
    Message.price_currency,
    Message.check_at,
    Message.unknown_since,
    Message.redacted_at,
)


def lock_outcomes(message_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """Return what is recorded of these messages, locked in the order of their ids.

    One order everywhere: two recorders with the same messages wait, and never deadlock.
    """
    wanted = sorted(set(message_ids), key=lambda one: one.int)
    if not wanted:
        return {}
    query = _OUTCOME.where(any_of(Message.id, wanted)).order_by(Message.id).with_for_update()
    return {row.id: row for row in db.session.execute(query)}


def write_outcomes(outcomes: Sequence[Mapping[str, Any]]) -> None:
    """Write outcomes over messages that this transaction has locked; `key` names the message."""
    if outcomes:
        table = cast(Table, Message.__table__)
        update_each(table, outcomes)


def write_events(events: Iterable[Mapping[str, Any]]) -> set[bytes]:
    """Write statements into the ledger, each once; return the identities of those that were new.

    A repeat is counted on the event it repeats, and the earliest arrival is the one kept, so
    that the ledger, too, does not depend on the order in which repeats are recorded.
    """
    # In one order everywhere: two batches that hold the same orphans cannot deadlock.
    ordered = sorted(events, key=lambda event: event["identity"])
    if not ordered:
        return set()
    written = insert_all(cast(Table, StatusEvent.__table__), ordered, _once)
    as_sent = {event["identity"]: event["repeats"] for event in ordered}
    return as_sent.keys() - {known for known, repeats in written if repeats != as_sent[known]}


def _once(statement: Any) -> Any:
    """Let an INSERT count a repeat, and return at least what was said more than once."""
    said = statement.excluded
    earlier = said.received_at < StatusEvent.received_at
    counted = statement.on_conflict_do_update(
        index_elements=[StatusEvent.identity],
        set_={
            "repeats": StatusEvent.repeats + said.repeats + 1,
            "received_at": case((earlier, said.received_at), else_=StatusEvent.received_at),
            "raw": case((earlier, said.raw), else_=StatusEvent.raw),
        },
    ).returning(StatusEvent.identity, StatusEvent.repeats)
    return filter_returned(counted, _said_again)


def _said_again(event: Any) -> Any:
    return event.repeats > 0


def message_ids(after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return ids of messages in order, those past `after` when it is given."""
    query = select(Message.id).order_by(Message.id).limit(limit)
    if after is not None:
        query = query.where(Message.id > after)
    return db.session.scalars(query).all()


def numbered_events(message_ids: Collection[UUID]) -> Iterator[tuple[StatusEvent, int]]:
    """Yield the ledgers of these messages with the number of the attempt each event is about."""
    # A join may read every attempt there is.
    number_of = select(Attempt.number).where(Attempt.id == StatusEvent.attempt_id).scalar_subquery()
    query = select(StatusEvent, number_of).where(any_of(StatusEvent.message_id, message_ids))
    for event, number in db.session.execute(query):
        yield event, number or 0


def take_orphans(
    owners: Mapping[tuple[str, str], AttemptRef],
) -> list[tuple[StatusEvent, AttemptRef]]:
    """Give the orphans with these (provider, SID) pairs to their attempts, and return both."""
    if not owners:
        return []
    query = (
        select(StatusEvent)
        .where(
            any_of(StatusEvent.provider_sid, {sid for _, sid in owners}),
            StatusEvent.message_id.is_(None),
        )
        .order_by(StatusEvent.identity)
        .with_for_update()
    )
    taken = []
    for event in db.session.scalars(query):
        owner = owners.get((event.provider, event.provider_sid or ""))
        if owner is not None:
            event.message_id, event.attempt_id = owner.message_id, owner.id
            taken.append((event, owner))
    db.session.flush()
    return taken
