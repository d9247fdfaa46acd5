"""Joins reports onto the rows of their messages: what changes, and by which report."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from service.domain.outcome import Outcome, merge_all, outcome_of, rank
from service.domain.report import Price, StatusReport
from service.domain.status import FINAL, UNREPORTED
from service.models import StatusEvent
from service.queries.attempts import AttemptRef
from service.recording.effects import Effect, LedgerEntry


class Fold(NamedTuple):
    """What a batch changes."""

    columns: list[dict[str, Any]]  # of the messages that change
    effects: list[Effect]  # of each entry
    conflicts: int  # messages that became contradictory


def fold(
    rows: Mapping[UUID, Any],
    entries: Sequence[LedgerEntry],
    new: Collection[bytes],
    adopted: Sequence[LedgerEntry] = (),
) -> Fold:
    """Join the reports of entries and of adopted orphans onto the rows of their messages.

    `new` are the identities of the entries that are no repeats.
    """
    by_message: dict[UUID, list[tuple[StatusReport, AttemptRef]]] = defaultdict(list)
    for _, report, owner in (*entries, *adopted):
        if owner is not None:
            by_message[owner.message_id].append((report, owner))
    columns, contradicted = [], set()
    for message_id, row in rows.items():
        owned, before = by_message[message_id], outcome_in(row)
        after = merge_all([before, *(outcome_of(report, owner.number) for report, owner in owned)])
        if after is None:
            continue
        sid = _shown_sid(row, after, owned)
        if after == before and sid == row.provider_sid:
            continue
        columns.append(message_columns(row, after, sid))
        if after.conflict and not (before and before.conflict):
            contradicted.add(message_id)
    return Fold(columns, _effects(entries, rows, new, contradicted), len(contradicted))


def _shown_sid(
    row: Any, outcome: Outcome, owned: Iterable[tuple[StatusReport, AttemptRef]]
) -> str | None:
    """Return the SID of the attempt that is shown; the least, if the provider gave two."""
    sids = {row.provider_sid} if row.outcome_attempt == outcome.attempt else set()
    for report, owner in owned:
        if owner.number == outcome.attempt:
            sids |= {report.provider_sid, owner.provider_sid}
    return min(filter(None, sids), default=None)


def _effects(
    entries: Iterable[LedgerEntry],
    rows: Mapping[UUID, Any],
    new: Collection[bytes],
    contradicted: Collection[UUID],
) -> list[Effect]:
    """Return the effect of each entry; `rows` are the messages as they were before."""
    effects, unseen = [], set(new)
    for identity, report, owner in entries:
        if identity in unseen:
            unseen.remove(identity)
            effects.append(_effect(report, owner, rows, contradicted))
        else:
            effects.append(Effect.REPEAT)
    return effects


def _effect(
    report: StatusReport,
    owner: AttemptRef | None,
    rows: Mapping[UUID, Any],
    contradicted: Collection[UUID],
) -> Effect:
    row = rows.get(owner.message_id) if owner else None
    if owner is None or row is None:
        return Effect.ORPHAN
    if report.status is None:
        return Effect.RECORDED
    if row.id in contradicted and report.status in FINAL:
        return Effect.CONFLICT
    if row.status in UNREPORTED:
        return Effect.RECORDED
    shown = rank(row.status, row.outcome_attempt)
    if row.status in FINAL or rank(report.status, owner.number) <= shown:
        return Effect.LATE
    return Effect.RECORDED


def outcome_in(row: Any) -> Outcome | None:
    """Return the outcome in a message row; None before the first report."""
    if row.status in UNREPORTED:
        return None
    return Outcome(
        status=row.status,
        attempt=row.outcome_attempt,
        since=row.updated_at,
        error_code=row.error_code,
        error_message=row.error_message,
        failed_in=row.failed_in,
        delivered_in=row.delivered_in,
        segments=row.segments,
        price=_price(row.price, row.price_currency),
    )


def message_columns(row: Any, outcome: Outcome, sid: str | None) -> dict[str, Any]:
    """Return the columns that an outcome changes. A final status needs no more checks."""
    final = outcome.status in FINAL
    return {
        "key": row.id,
        "status": outcome.status,
        "outcome_attempt": outcome.attempt,
        "updated_at": outcome.since,
        "final_at": outcome.since if final else None,
        # A message that was silent or final and is reported again is polled again.
        "check_at": None if final else row.check_at or outcome.since,
        "unknown_since": None,
        "provider_sid": sid,
        "error_code": outcome.error_code,
        "error_message": outcome.error_message,
        "failed_in": outcome.failed_in,
        "delivered_in": outcome.delivered_in,
        "segments": outcome.segments,
        "price": outcome.price.amount if outcome.price else None,
        "price_currency": outcome.price.currency if outcome.price else None,
        "due_at": None,
        "claimed_until": None,
    }


def report_of(event: StatusEvent) -> StatusReport:
    """Return the report in a ledger row."""
    return StatusReport(
        provider=event.provider,
        source=event.source,
        word=event.word,
        status=event.status,
        received_at=event.received_at,
        attempt_id=event.attempt_id,
        provider_sid=event.provider_sid,
        error_code=event.error_code,
        error_message=event.error_message,
        provider_time=event.provider_time,
        segments=event.segments,
        price=_price(event.price, event.price_currency),
        raw=event.raw,
    )


def _price(amount: Decimal | None, currency: str | None) -> Price | None:
    return None if amount is None else Price(amount.normalize(), currency or "")
