"""The join of statuses: its algebra, and the judgements in its order."""

from itertools import permutations

import pytest
from hypothesis import given

from service.domain.status import FINAL, OWN, Status, is_final
from tests.strategies import statuses


def merge(a: Status, b: Status) -> Status:
    return max(a, b, key=lambda status: status.rank)


@given(statuses, statuses)
def test_the_order_of_two_statuses_does_not_matter(a: Status, b: Status) -> None:
    assert merge(a, b) is merge(b, a)


@given(statuses, statuses, statuses)
def test_the_grouping_of_three_statuses_does_not_matter(a: Status, b: Status, c: Status) -> None:
    assert merge(merge(a, b), c) is merge(a, merge(b, c))


@given(statuses)
def test_a_repeated_status_changes_nothing(a: Status) -> None:
    assert merge(a, a) is a


def test_every_pair_of_statuses_has_an_answer() -> None:
    assert {merge(a, b) for a in Status for b in Status} == set(Status)


def test_ranks_are_distinct() -> None:
    assert len({status.rank for status in Status}) == len(Status)


@pytest.mark.parametrize(
    ("stronger", "weaker", "why"),
    [
        (Status.DELIVERED, Status.UNDELIVERED, "proof of delivery outranks every failure"),
        (Status.DELIVERED, Status.FAILED, "proof of delivery outranks every failure"),
        (Status.READ, Status.DELIVERED, "who read it, has it"),
        (Status.SENDING, Status.EXPIRED, "transmission outranks an expiry"),
        (Status.CANCELED, Status.EXPIRED, "a client's cancellation outranks our clock"),
        (Status.SENDING, Status.CANCELED, "transmission outranks a cancellation"),
        (Status.SENT, Status.CANCELED, "transmission outranks a cancellation"),
        (Status.CANCELED, Status.QUEUED, "a cancellation ends the wait"),
        (Status.UNDELIVERED, Status.SENT, "a receipt says more than a handover"),
        (Status.DELIVERED, Status.QUEUED, "a late queued takes nothing back"),
        (Status.ACCEPTED, Status.IN_DOUBT, "any word of the provider ends our doubt"),
    ],
)
def test_the_stronger_statement_wins(stronger: Status, weaker: Status, why: str) -> None:
    assert merge(weaker, stronger) is stronger, why


@pytest.mark.parametrize(
    "heard",
    [
        (Status.QUEUED, Status.SENT, Status.DELIVERED),
        (Status.SENT, Status.DELIVERED, Status.UNDELIVERED),
        (Status.QUEUED, Status.SENT, Status.UNDELIVERED),
        (Status.DELIVERED, Status.UNDELIVERED, Status.DELIVERED),
    ],
)
def test_a_message_ends_in_one_status_in_every_order_of_arrival(heard: tuple[Status, ...]) -> None:
    """The event sets on which known systems depend on the order."""
    ends = set()
    for order in permutations(heard):
        shown = Status.PENDING
        for status in order:
            shown = merge(shown, status)
        ends.add(shown)
    assert len(ends) == 1


def test_our_own_words_rank_below_every_word_of_a_provider() -> None:
    assert max(status.rank for status in OWN) < min(s.rank for s in Status if s not in OWN)


def test_the_reconciler_stops_at_final_statuses_only() -> None:
    """`sent` is not final, however long a message stays there."""
    assert {status for status in Status if is_final(status)} == FINAL
    assert not is_final(Status.SENT)
