"""Merging reports about a message over several attempts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.domain.outcome import Outcome, merge, merge_all, outcome_of
from service.domain.report import StatusReport
from service.domain.status import SUCCESSES, Status
from tests.fakes import said
from tests.strategies import EPOCH, moments, splits, statements

# After three attempts the message was sent again (number 4), which took two more.
ATTEMPTS = {UUID(int=number): number for number in (1, 2, 3, 5, 6)}
RESEND = 4


def _own(status: Status, number: int, at: datetime) -> StatusReport:
    """Return a report of ours, which is about no attempt."""
    own = said(status.value, message_id=UUID(int=9), at=at)
    return own._replace(status=status, attempt_number=number)


resends = moments.map(lambda at: _own(Status.PENDING, RESEND, at))
verdicts = st.builds(
    _own,
    st.sampled_from([Status.EXPIRED, Status.CANCELED, Status.FAILED]),
    st.sampled_from([0, RESEND]),
    moments,
)
reports = statements(list(ATTEMPTS)) | resends | verdicts


def _number(report: StatusReport) -> int:
    return ATTEMPTS[report.attempt_id] if report.attempt_id else report.attempt_number


def _outcome(received: Sequence[StatusReport]) -> Outcome | None:
    return merge_all(outcome_of(report, _number(report)) for report in received)


outcomes = st.lists(reports, min_size=1).map(_outcome).filter(lambda outcome: outcome is not None)


@given(outcomes, outcomes)
def test_merging_is_commutative(a: Outcome, b: Outcome) -> None:
    assert merge(a, b) == merge(b, a)


@given(outcomes, outcomes, outcomes)
def test_merging_is_associative(a: Outcome, b: Outcome, c: Outcome) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(outcomes)
def test_merging_is_idempotent(a: Outcome) -> None:
    assert merge(a, a) == a


@given(st.data(), st.lists(reports, max_size=8))
def test_order_repeats_and_batches_give_one_outcome(
    data: st.DataObject, received: list[StatusReport]
) -> None:
    expected = _outcome(received)
    batches = data.draw(splits(received))
    assert merge_all(_outcome(batch) for batch in batches) == expected


@given(st.lists(reports, max_size=8))
def test_resend_is_outranked_by_later_reports_and_deliveries_only(
    received: list[StatusReport],
) -> None:
    outcome = _outcome([*received, _own(Status.PENDING, RESEND, EPOCH)])
    assert outcome is not None
    stated = [report for report in received if outcome_of(report, _number(report))]
    outranking = [
        report
        for report in stated
        if report.status in SUCCESSES
        or _number(report) > RESEND
        or (_number(report) == RESEND and report.status is not Status.PENDING)
    ]
    assert (outcome.status is Status.PENDING) == (not outranking)


def test_late_failure_of_first_attempt_does_not_hide_second() -> None:
    received = [said("sent", attempt_id=UUID(int=2)), said("failed", attempt_id=UUID(int=1))]
    outcome = _outcome(received)
    assert outcome is not None
    assert (outcome.status, outcome.attempt) == (Status.SENT, 2)


def test_delivery_of_first_attempt_outranks_later_failure() -> None:
    received = [said("failed", attempt_id=UUID(int=2)), said("delivered", attempt_id=UUID(int=1))]
    outcome = _outcome(received)
    assert outcome is not None
    assert (outcome.status, outcome.attempt) == (Status.DELIVERED, 1)
    assert not outcome.conflict, "two attempts can have different outcomes"


def test_delivered_and_failed_attempt_is_a_conflict() -> None:
    received = [said("undelivered", attempt_id=UUID(int=1)), said("read", attempt_id=UUID(int=1))]
    outcome = _outcome(received)
    assert outcome is not None
    assert outcome.status is Status.READ
    assert outcome.conflict


def test_outranked_cancellation_conflicts_with_delivery() -> None:
    received = [said(word, attempt_id=UUID(int=1)) for word in ("canceled", "sent", "delivered")]
    outcome = _outcome(received)
    assert outcome is not None
    assert outcome.conflict


def test_since_is_time_of_first_report() -> None:
    received = [
        said("delivered", attempt_id=UUID(int=1), at=EPOCH + timedelta(seconds=late))
        for late in (9, 2, 5)
    ]
    outcome = _outcome(received)
    assert outcome is not None
    assert outcome.since == EPOCH + timedelta(seconds=2)


def test_error_code_belongs_to_shown_status() -> None:
    failed = said("failed", attempt_id=UUID(int=1), error_code="30008")
    delivered = said("delivered", attempt_id=UUID(int=1))
    outcome = _outcome([failed, delivered])
    assert outcome is not None
    assert outcome.error_code is None


def test_unknown_status_has_no_outcome() -> None:
    assert _outcome([said("partially_delivered", attempt_id=UUID(int=1))]) is None
