"""How messages end."""

from collections import Counter

import pytest

from simulator.config import DEFAULT_FATES
from simulator.dice import roll
from simulator.fates import Fate, Fates, read_fate


def test_most_messages_are_delivered():
    fates = Fates(DEFAULT_FATES)
    ends = Counter(fates.at(roll(1, "fate", number)).status for number in range(2_000))
    assert ends["delivered"] > 1_700
    assert set(ends) == {"delivered", "undelivered", "failed", "sent"}


def test_a_weight_of_zero_never_comes():
    fates = Fates({"sent": 0, "delivered": 1, "failed-30007": 0})
    assert {fates.at(roll(number)).status for number in range(200)} == {"delivered"}


@pytest.mark.parametrize("name", ["lost", "failed", "delivered-30003", "failed-", "sent-x", ""])
def test_a_fate_must_make_sense(name):
    with pytest.raises(ValueError, match="no such fate"):
        read_fate(name)


@pytest.mark.parametrize("weights", [{}, {"sent": 0}, {"sent": -1, "delivered": 2}])
def test_some_fate_must_be_possible(weights):
    with pytest.raises(ValueError, match="weights"):
        Fates(weights)


def test_a_channel_has_its_own_codes():
    assert Fate("undelivered", 30003).on_channel() == Fate("undelivered", 63024)
    assert Fate("failed", 63016).on_channel() == Fate("failed", 63016)
    assert Fate("delivered").on_channel() == Fate("delivered")


def test_a_roll_depends_on_its_key_alone():
    assert roll(1, "fault", 2) == roll(1, "fault", 2)
    assert roll(1, "fault", 2) != roll(2, "fault", 2)
    assert all(0 <= roll(number) < 1 for number in range(1_000))
