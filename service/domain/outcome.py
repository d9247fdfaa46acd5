"""Merge all reports about a message into its outcome, independent of their order."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

from service.domain.report import Price, StatusReport
from service.domain.status import FAILURES, SUCCESSES, Status


class Outcome(NamedTuple):
    """The merged reports of all attempts.

    `failed_in` and `delivered_in` are bit sets: bit n is for attempt n, bit 0 for no attempt.
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
        """Return whether one attempt was reported both delivered and failed."""
        return bool(self.failed_in & self.delivered_in)


def rank(status: Status, attempt: int) -> tuple[bool, int, int]:
    """Return the rank of a status of one attempt: it decides which of two outcomes is shown.

    A delivery by any attempt ranks highest. Otherwise the latest attempt does: a late failure of
    the first attempt must not hide the second. Then the rank of the status decides.
    """
    return (status in SUCCESSES, attempt, status.rank)


def outcome_of(report: StatusReport, attempt: int) -> Outcome | None:
    """Return the outcome that one report states; None for an unknown status without a SID.

    A provider that returns a SID has accepted the message, also if its status is unknown.
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
    # Without the error, which belongs to the unknown status and not to the one shown.
    return Outcome(
        status=Status.ACCEPTED,
        attempt=attempt,
        since=report.received_at,
        segments=report.segments,
        price=report.price,
    )


def merge(a: Outcome, b: Outcome) -> Outcome:
    """Merge two outcomes: commutative, associative, idempotent and total."""
    rank_a, rank_b = rank(a.status, a.attempt), rank(b.status, b.attempt)
    shown, other = (a, b) if rank_a >= rank_b else (b, a)
    equal = rank_a == rank_b
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


def merge_all(outcomes: Iterable[Outcome | None]) -> Outcome | None:
    """Merge any number of outcomes; None if there is none."""
    stated = [outcome for outcome in outcomes if outcome is not None]
    return reduce(merge, stated) if stated else None


def _error(outcome: Outcome) -> tuple[str, str]:
    return (outcome.error_code or "", outcome.error_message or "")


def _cost(price: Price | None) -> tuple[Decimal, Decimal, str]:
    if price is None:
        return (Decimal(-1), Decimal(0), "")
    return (abs(price.amount), price.amount, price.currency)
