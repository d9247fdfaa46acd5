"""Merging statuses: its algebra, and the reasons for the ranks."""

from itertools import permutations

import pytest
from hypothesis import given

from service.domain.status import FINAL, UNREPORTED, Status, is_final
from tests.strategies import statuses


def merge(a: Status, b: Status) -> Status:
    return max(a, b, key=lambda status: status.rank)


@given(statuses, statuses)
def test_merging_statuses_is_commutative(a: Status, b: Status) -> None:
    assert merge(a, b) is merge(b, a)


@given(statuses, statuses, statuses)
def test_merging_statuses_is_associative(a: Status, b: Status, c: Status) -> None:
    assert merge(merge(a, b), c) is merge(a, merge(b, c))


@given(statuses)
def test_merging_statuses_is_idempotent(a: Status) -> None:
    assert merge(a, a) is a


def test_merging_statuses_is_total() -> None:
    assert {merge(a, b) for a in Status for b in Status} == set(Status)


def test_ranks_are_distinct() -> None:
    assert len({status.rank for status in Status}) == len(Status)


@pytest.mark.parametrize(
    ("stronger", "weaker", "why"),
    [
        (Status.DELIVERED, Status.UNDELIVERED, "proof of delivery outranks every failure"),
        (Status.DELIVERED, Status.FAILED, "proof of delivery outranks every failure"),
        (Status.READ, Status.DELIVERED, "a read message was delivered"),
        (Status.SENDING, Status.EXPIRED, "transmission outranks an expiry"),
        (Status.CANCELED, Status.EXPIRED, "a client's cancellation outranks an expiry"),
        (Status.SENDING, Status.CANCELED, "transmission outranks a cancellation"),
        (Status.SENT, Status.CANCELED, "transmission outranks a cancellation"),
        (Status.CANCELED, Status.QUEUED, "a canceled message no longer waits"),
        (Status.UNDELIVERED, Status.SENT, "a delivery report outranks a handover"),
        (Status.DELIVERED, Status.QUEUED, "a late report does not overwrite a delivery"),
        (Status.ACCEPTED, Status.IN_DOUBT, "any report of the provider ends the doubt"),
    ],
)
def test_higher_rank_wins(stronger: Status, weaker: Status, why: str) -> None:
    assert merge(weaker, stronger) is stronger, why


@pytest.mark.parametrize(
    "reports",
    [
        (Status.QUEUED, Status.SENT, Status.DELIVERED),
        (Status.SENT, Status.DELIVERED, Status.UNDELIVERED),
        (Status.QUEUED, Status.SENT, Status.UNDELIVERED),
        (Status.DELIVERED, Status.UNDELIVERED, Status.DELIVERED),
    ],
)
def test_final_status_does_not_depend_on_order(reports: tuple[Status, ...]) -> None:
    """Sets of events whose outcome depends on the order in other systems."""
    ends = set()
    for order in permutations(reports):
        shown = Status.PENDING
        for status in order:
            shown = merge(shown, status)
        ends.add(shown)
    assert len(ends) == 1


def test_unreported_statuses_rank_below_reported_ones() -> None:
    assert max(status.rank for status in UNREPORTED) < min(
        s.rank for s in Status if s not in UNREPORTED
    )


def test_only_final_statuses_end_polling() -> None:
    """`sent` is not final."""
    assert {status for status in Status if is_final(status)} == FINAL
    assert not is_final(Status.SENT)
