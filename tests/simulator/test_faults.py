"""Whether something goes wrong this time."""

import pytest

from simulator.faults import ALL, Faults


def story(seed, rates, length=300):
    faults = Faults(seed, rates)
    return [(faults.on_create(n), faults.on_callback(n, 1)) for n in range(length)]


def test_one_seed_tells_one_story():
    rates = {"429": 0.1, "timeout": 0.2, "duplicate": 0.3}
    assert story(1, rates) == story(1, rates)
    assert story(1, rates) != story(2, rates)


def test_rates_are_kept_roughly():
    hits = [fault for fault, _ in story(1, {"cut": 0.2}, length=2_000) if fault]
    assert 320 < len(hits) < 480


def test_without_rates_nothing_goes_wrong():
    assert set(story(1, {})) == {(None, frozenset())}


def test_of_several_faults_on_create_the_first_in_the_list_strikes():
    assert Faults(1, {"slow": 1, "503": 1}).on_create(1) == "503"


def test_faults_on_callbacks_come_together():
    assert Faults(1, {"duplicate": 1, "delay": 1}).on_callback(1, 1) == {"duplicate", "delay"}


def test_an_armed_fault_strikes_the_next_creates_only():
    faults = Faults(1, {})
    faults.arm("timeout", 2)
    assert [faults.on_create(n) for n in range(3)] == ["timeout", "timeout", None]


def test_all_rates_can_be_read():
    assert dict(Faults(1, {"cut": 0.5}).rates) == dict.fromkeys(ALL, 0.0) | {"cut": 0.5}


@pytest.mark.parametrize("rates", [{"fire": 0.1}, {"cut": 1.1}, {"cut": -0.1}])
def test_a_rate_that_makes_no_sense_is_refused(rates):
    with pytest.raises(ValueError, match=r"fault|rate"):
        Faults(1, rates)


@pytest.mark.parametrize(("fault", "count"), [("duplicate", 1), ("fire", 1), ("cut", 0)])
def test_only_faults_on_create_can_be_armed(fault, count):
    with pytest.raises(ValueError, match=r"fault|count"):
        Faults(1, {}).arm(fault, count)
