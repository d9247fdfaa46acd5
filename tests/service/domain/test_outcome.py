"""The join of everything said about a message, over several attempts."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.domain.outcome import Outcome, join, join_all, outcome_of
from service.domain.report import StatusReport
from service.domain.status import Status
from tests.fakes import said
from tests.strategies import EPOCH, splits, statements

ATTEMPTS = {UUID(int=number): number for number in (1, 2, 3)}
reports = statements(list(ATTEMPTS))


def _outcome(heard: Sequence[StatusReport]) -> Outcome | None:
    return join_all(outcome_of(report, ATTEMPTS[report.attempt_id]) for report in heard)  # type: ignore[index]


outcomes = st.lists(reports, min_size=1).map(_outcome).filter(lambda outcome: outcome is not None)


@given(outcomes, outcomes)
def test_joining_is_commutative(a: Outcome, b: Outcome) -> None:
    assert join(a, b) == join(b, a)


@given(outcomes, outcomes, outcomes)
def test_joining_is_associative(a: Outcome, b: Outcome, c: Outcome) -> None:
    assert join(join(a, b), c) == join(a, join(b, c))


@given(outcomes)
def test_joining_is_idempotent(a: Outcome) -> None:
    assert join(a, a) == a


@given(st.data(), st.lists(reports, max_size=8))
def test_order_repeats_and_batches_leave_one_outcome(
    data: st.DataObject, heard: list[StatusReport]
) -> None:
    expected = _outcome(heard)
    batches = data.draw(splits(heard))
    assert join_all(_outcome(batch) for batch in batches) == expected


def test_a_late_failure_of_the_first_attempt_does_not_kill_the_second() -> None:
    heard = [said("sent", attempt_id=UUID(int=2)), said("failed", attempt_id=UUID(int=1))]
    outcome = _outcome(heard)
    assert outcome is not None
    assert (outcome.status, outcome.attempt) == (Status.SENT, 2)


def test_a_delivery_by_the_first_attempt_outranks_a_failure_of_the_second() -> None:
    heard = [said("failed", attempt_id=UUID(int=2)), said("delivered", attempt_id=UUID(int=1))]
    outcome = _outcome(heard)
    assert outcome is not None
    assert (outcome.status, outcome.attempt) == (Status.DELIVERED, 1)
    assert not outcome.conflict, "two attempts may fare differently"


def test_one_attempt_both_delivered_and_failed_is_a_conflict() -> None:
    heard = [said("undelivered", attempt_id=UUID(int=1)), said("read", attempt_id=UUID(int=1))]
    outcome = _outcome(heard)
    assert outcome is not None
    assert outcome.status is Status.READ
    assert outcome.conflict


def test_a_cancellation_absorbed_by_transmission_still_contradicts_a_delivery() -> None:
    heard = [said(word, attempt_id=UUID(int=1)) for word in ("canceled", "sent", "delivered")]
    outcome = _outcome(heard)
    assert outcome is not None
    assert outcome.conflict


def test_the_shown_status_dates_from_its_first_report() -> None:
    heard = [
        said("delivered", attempt_id=UUID(int=1), at=EPOCH + timedelta(seconds=late))
        for late in (9, 2, 5)
    ]
    outcome = _outcome(heard)
    assert outcome is not None
    assert outcome.since == EPOCH + timedelta(seconds=2)


def test_an_error_code_belongs_to_the_status_that_is_shown() -> None:
    failed = said("failed", attempt_id=UUID(int=1), error_code="30008")
    delivered = said("delivered", attempt_id=UUID(int=1))
    outcome = _outcome([failed, delivered])
    assert outcome is not None
    assert outcome.error_code is None


def test_an_unknown_word_says_nothing() -> None:
    assert _outcome([said("partially_delivered", attempt_id=UUID(int=1))]) is None
