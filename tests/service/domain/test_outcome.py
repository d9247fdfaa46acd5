"""Merging reports about a message over several attempts."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.domain.outcome import Outcome, merge, merge_all, outcome_of
from service.domain.report import StatusReport
from service.domain.status import Status
from tests.fakes import said
from tests.strategies import EPOCH, splits, statements

ATTEMPTS = {UUID(int=number): number for number in (1, 2, 3)}
reports = statements(list(ATTEMPTS))


def _outcome(received: Sequence[StatusReport]) -> Outcome | None:
    return merge_all(outcome_of(report, ATTEMPTS[report.attempt_id]) for report in received)  # type: ignore[index]


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
