"""Between the domain and the tables: reports as ledger rows, outcomes as message columns."""

import secrets
from decimal import Decimal
from typing import Any

from service.domain.outcome import Outcome
from service.domain.report import Price, StatusReport
from service.domain.status import UNREPORTED, is_final
from service.models import StatusEvent
from service.queries.attempts import AttemptRef


def event_of(report: StatusReport, owner: AttemptRef | None) -> dict[str, Any]:
    """Return the ledger row of one report."""
    return {
        "identity": report.identity,
        "message_id": owner.message_id if owner else None,
        "attempt_id": owner.id if owner else None,
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
    """Return the report that was written down as this event."""
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


def unquoted_identity(event: StatusEvent) -> bytes:
    """Return the identity that a statement has without the provider's words.

    A reader who knows the rest of a statement could guess a number in its words. Later repeats get
    this identity, too.
    """
    if event.error_message is None:
        return event.identity
    report = report_of(event)
    variants = (
        report,  # by our attempt id, or
        report._replace(attempt_id=None),  # by the SID, or
        report._replace(attempt_id=None, message_id=event.message_id),  # a verdict of our own
    )
    for variant in variants:
        if variant.identity == event.identity:
            return variant._replace(error_message=None).identity
    return random_identity(event.identity)


def random_identity(identity: bytes) -> bytes:
    """Return a random identity that stays at the same place of the index."""
    return identity[:6] + secrets.token_bytes(26)


def outcome_in(row: Any) -> Outcome | None:
    """Return the outcome a message row holds; None while no report has come."""
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


def columns_of(row: Any, outcome: Outcome, sid: str | None) -> dict[str, Any]:
    """Return the columns of an outcome over a message row: what is final needs no more checks."""
    final = is_final(outcome.status)
    return {
        "key": row.id,
        "status": outcome.status,
        "outcome_attempt": outcome.attempt,
        "updated_at": outcome.since,
        "final_at": outcome.since if final else None,
        # What was silent or final for us and speaks again is asked about again.
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


def _price(amount: Decimal | None, currency: str | None) -> Price | None:
    return None if amount is None else Price(amount.normalize(), currency or "")
