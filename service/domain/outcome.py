"""What all reports about a message add up to: a join, so that no order of arrival matters."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

from service.domain.report import Price, StatusReport
from service.domain.status import FAILURES, SUCCESSES, Status


class Outcome(NamedTuple):
    """The joined statements of all attempts.

    `failed_in` and `delivered_in` are bit sets: bit n stands for attempt n, 0 for none made.
    """

    status: Status
    attempt: int
    since: datetime  # when the shown status was first reported
    error_code: str | None = None
    error_message: str | None = None
    failed_in: int = 0
    delivered_in: int = 0
    segments: int | None = None
    price: Price | None = None

    @property
    def conflict(self) -> bool:
        """Tell whether one attempt was reported both delivered and not delivered."""
        return bool(self.failed_in & self.delivered_in)

    @property
    def strength(self) -> tuple[bool, int, int]:
        """Return what decides which of two statements is shown."""
        return strength(self.status, self.attempt)


def strength(status: Status, attempt: int) -> tuple[bool, int, int]:
    """Return what decides which of two statements is shown.

    Proof of delivery by any attempt comes first; without it the latest attempt speaks,
    so that a late failure of the first does not kill the second; then the status ranks.
    """
    return (status in SUCCESSES, attempt, status.rank)


def outcome_of(report: StatusReport, attempt: int) -> Outcome | None:
    """Return what one report alone says; None if its word is unknown and it brings no SID.

    A provider that gives a SID has accepted the message, whatever its word for the status.
    """
    if report.status is None:
        return _acceptance(report, attempt) if report.provider_sid else None
    bit = 1 << attempt
    return Outcome(
        status=report.status,
        attempt=attempt,
        since=report.received_at,
        error_code=report.error_code,
        error_message=report.error_message,
        failed_in=bit if report.status in FAILURES else 0,
        delivered_in=bit if report.status in SUCCESSES else 0,
        segments=report.segments,
        price=report.price,
    )


def _acceptance(report: StatusReport, attempt: int) -> Outcome:
    # Without the error: it explains the word that is unknown, not the status that is shown.
    return Outcome(
        status=Status.ACCEPTED,
        attempt=attempt,
        since=report.received_at,
        segments=report.segments,
        price=report.price,
    )


def join(a: Outcome, b: Outcome) -> Outcome:
    """Join two outcomes: commutative, associative, idempotent and total."""
    mine, theirs = a.strength, b.strength
    shown, other = (a, b) if mine >= theirs else (b, a)
    equal = mine == theirs
    code, message = max(_error(shown), _error(other)) if equal else _error(shown)
    return Outcome(
        status=shown.status,
        attempt=shown.attempt,
        since=min(shown.since, other.since) if equal else shown.since,
        error_code=code or None,
        error_message=message or None,
        failed_in=a.failed_in | b.failed_in,
        delivered_in=a.delivered_in | b.delivered_in,
        segments=max(a.segments or 0, b.segments or 0) or None,
        price=max(a.price, b.price, key=_cost),
    )


def join_all(outcomes: Iterable[Outcome | None]) -> Outcome | None:
    """Join any number of outcomes; None where nothing was said."""
    said = [outcome for outcome in outcomes if outcome is not None]
    return reduce(join, said) if said else None


def _error(outcome: Outcome) -> tuple[str, str]:
    return (outcome.error_code or "", outcome.error_message or "")


def _cost(price: Price | None) -> tuple[Decimal, Decimal, str]:
    if price is None:
        return (Decimal(-1), Decimal(0), "")
    return (abs(price.amount), price.amount, price.currency)
