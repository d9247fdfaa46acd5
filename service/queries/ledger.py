"""Queries of recording: the attempts of reports, outcomes of messages, and their ledger."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Table, case, select

from service.database import db
from service.domain.report import StatusReport
from service.models import Attempt, Message, StatusEvent
from service.queries.attempts import REFERENCE, AttemptRef, by_sids, reference
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
    Message.due_at,
    Message.claimed_until,
    Message.hold_id,
    Message.resent_at,
    Message.unknown_since,
    Message.redacted_at,
    Message.webhook_endpoint_id,
)


def owners_of(reports: Sequence[StatusReport]) -> list[AttemptRef | None]:
    """Return the attempt of each report: by our id in the callback URL, else by the SID.

    A report that names a message is our own verdict, about no attempt.
    """
    ids = {report.attempt_id for report in reports if report.attempt_id}
    rows = db.session.execute(REFERENCE.where(any_of(Attempt.id, ids))) if ids else ()
    by_id: dict[UUID | None, AttemptRef] = {row.id: reference(row) for row in rows}
    sids = {
        (report.provider, report.provider_sid)
        for report in reports
        if report.provider_sid and report.attempt_id not in by_id
    }
    by_sid = by_sids(sids) if sids else {}

    owners = []
    for report in reports:
        owner = by_id.get(report.attempt_id)
        if owner is None and report.message_id:
            owner = AttemptRef(None, report.message_id, report.attempt_number)
        owners.append(owner or by_sid.get((report.provider, report.provider_sid or "")))
    return owners


def lock_outcomes(message_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """Return the outcomes of these messages, locked in the order of their ids.

    The same order everywhere: two recorders with the same messages cannot deadlock.
    """
    ids = sorted(set(message_ids), key=lambda message_id: message_id.int)
    if not ids:
        return {}
    query = _OUTCOME.where(any_of(Message.id, ids)).order_by(Message.id).with_for_update()
    return {row.id: row for row in db.session.execute(query)}


def write_outcomes(outcomes: Sequence[Mapping[str, Any]]) -> None:
    """Update messages that this transaction has locked; `key` is the id of the message."""
    if outcomes:
        update_each(cast(Table, Message.__table__), outcomes)


def write_events(events: Iterable[Mapping[str, Any]]) -> set[bytes]:
    """Write events into the ledger, each once; return the identities of the new ones.

    A repeat is counted on the first event, which keeps the earliest arrival: the ledger does not
    depend on the order in which repeats are recorded.
    """
    # The same order everywhere: two batches with the same orphans cannot deadlock.
    ordered = sorted(events, key=lambda event: event["identity"])
    if not ordered:
        return set()
    written = insert_all(cast(Table, StatusEvent.__table__), ordered, _once)
    inserted = {event["identity"]: event["repeats"] for event in ordered}
    return inserted.keys() - {key for key, repeats in written if repeats != inserted[key]}


def _once(statement: Any) -> Any:
    """Make an INSERT count repeats, and return at least the repeated events."""
    new = statement.excluded
    earlier = new.received_at < StatusEvent.received_at
    counted = statement.on_conflict_do_update(
        index_elements=[StatusEvent.identity],
        set_={
            "repeats": StatusEvent.repeats + new.repeats + 1,
            "received_at": case((earlier, new.received_at), else_=StatusEvent.received_at),
            "raw": case((earlier, new.raw), else_=StatusEvent.raw),
        },
    ).returning(StatusEvent.identity, StatusEvent.repeats)
    return filter_returned(counted, _is_repeated)


def _is_repeated(event: Any) -> Any:
    return event.repeats > 0


def message_ids(after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return ids of messages in order, after `after` if given."""
    query = select(Message.id).order_by(Message.id).limit(limit)
    if after is not None:
        query = query.where(Message.id > after)
    return db.session.scalars(query).all()


def numbered_events(message_ids: Collection[UUID]) -> Iterator[tuple[StatusEvent, int]]:
    """Yield the ledgers of these messages, with the attempt number of each event."""
    # A join may read the whole table of attempts.
    number_of = select(Attempt.number).where(Attempt.id == StatusEvent.attempt_id).scalar_subquery()
    query = select(StatusEvent, number_of).where(any_of(StatusEvent.message_id, message_ids))
    for event, number in db.session.execute(query):
        yield event, max(number or event.attempt_number or 0, 0)


def take_orphans(
    owners: Mapping[tuple[str, str], AttemptRef],
) -> list[tuple[StatusEvent, AttemptRef]]:
    """Move the orphans with these (provider, SID) pairs to their attempts; return both."""
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
