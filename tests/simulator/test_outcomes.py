"""Outcomes of messages."""

from collections import Counter

import pytest

from simulator.config import DEFAULT_OUTCOMES
from simulator.outcomes import Outcome, Outcomes, parse_outcome
from simulator.seeded_random import draw


def test_most_messages_are_delivered_by_default():
    outcomes = Outcomes(DEFAULT_OUTCOMES)
    statuses = Counter(outcomes.choose(draw(1, "fate", number)).status for number in range(2_000))
    assert statuses["delivered"] > 1_700
    assert set(statuses) == {"delivered", "undelivered", "failed", "sent"}


def test_outcome_with_weight_zero_never_occurs():
    outcomes = Outcomes({"sent": 0, "delivered": 1, "failed-30007": 0})
    assert {outcomes.choose(draw(number)).status for number in range(200)} == {"delivered"}


@pytest.mark.parametrize("name", ["lost", "failed", "delivered-30003", "failed-", "sent-x", ""])
def test_invalid_outcome_is_rejected(name):
    with pytest.raises(ValueError, match="unknown outcome"):
        parse_outcome(name)


@pytest.mark.parametrize("weights", [{}, {"sent": 0}, {"sent": -1, "delivered": 2}])
def test_weights_must_allow_an_outcome(weights):
    with pytest.raises(ValueError, match="weights"):
        Outcomes(weights)


def test_channel_has_other_error_codes():
    assert Outcome("undelivered", 30003).on_channel() == Outcome("undelivered", 63024)
    assert Outcome("failed", 63016).on_channel() == Outcome("failed", 63016)
    assert Outcome("delivered").on_channel() == Outcome("delivered")


def test_random_number_depends_only_on_its_key():
    assert draw(1, "fault", 2) == draw(1, "fault", 2)
    assert draw(1, "fault", 2) != draw(2, "fault", 2)
    assert all(0 <= draw(number) < 1 for number in range(1_000))
