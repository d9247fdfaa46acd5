"""Maps reports to ledger rows and outcomes to columns of a message, and back."""

import secrets
from collections.abc import Collection, Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any

from service.domain.outcome import Outcome
from service.domain.report import Price, StatusReport
from service.domain.status import FINAL, UNREPORTED, Status
from service.models import StatusEvent
from service.recording.effects import LedgerEntry


def event_rows(entries: Iterable[LedgerEntry]) -> Collection[dict[str, Any]]:
    """Return the ledger rows of a batch: one for each identity, with its repeats counted."""
    rows: dict[bytes, dict[str, Any]] = {}
    for entry in entries:
        row, earlier = _event_row(entry), rows.get(entry.identity)
        if earlier is not None:
            first = min(earlier, row, key=itemgetter("received_at"))
            row = {**first, "repeats": earlier["repeats"] + 1}
        rows[entry.identity] = row
    return rows.values()


def _event_row(entry: LedgerEntry) -> dict[str, Any]:
    identity, report, owner = entry
    return {
        "identity": identity,
        "message_id": owner.message_id if owner else None,
        "attempt_id": owner.id if owner else None,
        "attempt_number": report.attempt_number or None,
        "provider": report.provider,
        "provider_sid": report.provider_sid,
        "source": report.source,
        "word": report.word,
        "status": report.status,
        "error_code": report.error_code,
        "error_message": report.error_message,
        "provider_time": report.provider_time,
        "segments": report.segments,
        "price": report.price.amount if report.price else None,
        "price_currency": report.price.currency if report.price else None,
        "received_at": report.received_at,
        "repeats": 0,
        "raw": report.raw,
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
        attempt_number=event.attempt_number or 0,
        provider_sid=event.provider_sid,
        error_code=event.error_code,
        error_message=event.error_message,
        provider_time=event.provider_time,
        segments=event.segments,
        price=_price(event.price, event.price_currency),
        raw=event.raw,
    )


def unquoted_identity(event: StatusEvent) -> bytes:
    """Return the identity of a ledger row without its error message. Later repeats get it too.

    With the message in it, a reader who knows the other columns could guess a number by hashing.
    """
    if event.error_message is None:
        return event.identity
    report = report_of(event)
    variants = (
        report,  # found by our attempt id
        report._replace(attempt_id=None),  # found by the SID
        report._replace(attempt_id=None, message_id=event.message_id),  # our own verdict
    )
    for variant in variants:
        if variant.identity == event.identity:
            return variant._replace(error_message=None).identity
    return random_identity(event.identity)


def random_identity(identity: bytes) -> bytes:
    """Return a random identity at the same place of the index."""
    return identity[:6] + secrets.token_bytes(26)


def outcome_in(row: Any) -> Outcome | None:
    """Return the outcome in a message row; None before the first report.

    A message that is being sent again shows the resend: `pending`, also while it is submitted.
    """
    unreported = row.status in UNREPORTED
    if unreported and row.outcome_attempt is None:
        return None
    return Outcome(
        status=Status.PENDING if unreported else row.status,
        attempt=row.outcome_attempt,
        since=row.resent_at if unreported else row.updated_at,
        error_code=row.error_code,
        error_message=row.error_message,
        failed_in=row.failed_in,
        delivered_in=row.delivered_in,
        segments=row.segments,
        price=_price(row.price, row.price_currency),
    )


def message_columns(row: Any, outcome: Outcome, sid: str | None) -> dict[str, Any]:
    """Return the columns that an outcome changes."""
    return {
        "key": row.id,
        "outcome_attempt": outcome.attempt,
        "provider_sid": sid,
        "error_code": outcome.error_code,
        "error_message": outcome.error_message,
        "failed_in": outcome.failed_in,
        "delivered_in": outcome.delivered_in,
        "segments": outcome.segments,
        "price": outcome.price.amount if outcome.price else None,
        "price_currency": outcome.price.currency if outcome.price else None,
        "unknown_since": None,
        **_progress(row, outcome),
    }


def _progress(row: Any, outcome: Outcome) -> dict[str, Any]:
    """Return the status, and what the message waits for. A final one needs no more checks."""
    if outcome.status is Status.PENDING and row.status in UNREPORTED:  # being sent again
        names = ("status", "updated_at", "check_at", "due_at", "hold_id", "claimed_until")
        return {**{name: getattr(row, name) for name in names}, "final_at": None}
    resent, final = outcome.status is Status.PENDING, outcome.status in FINAL
    return {
        "status": outcome.status,
        "updated_at": outcome.since,
        "final_at": outcome.since if final else None,
        # A message that was silent or final and is reported again is polled again.
        "check_at": None if final or resent else row.check_at or outcome.since,
        "due_at": outcome.since if resent else None,
        "hold_id": None,
        "claimed_until": None,
    }


def _price(amount: Decimal | None, currency: str | None) -> Price | None:
    return None if amount is None else Price(amount.normalize(), currency or "")
