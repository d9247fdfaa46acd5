"""Rates and injection of faults."""

import pytest

from simulator.faults import ALL, Faults


def run(seed, rates, length=300):
    faults = Faults(seed, rates)
    return [(faults.on_create(n), faults.on_callback(n, 1)) for n in range(length)]


def test_same_seed_gives_the_same_faults():
    rates = {"429": 0.1, "timeout": 0.2, "duplicate": 0.3}
    assert run(1, rates) == run(1, rates)
    assert run(1, rates) != run(2, rates)


def test_faults_occur_at_their_rates():
    hits = [fault for fault, _ in run(1, {"cut": 0.2}, length=2_000) if fault]
    assert 320 < len(hits) < 480


def test_no_rates_no_faults():
    assert set(run(1, {})) == {(None, frozenset())}


def test_first_of_several_create_faults_occurs():
    assert Faults(1, {"slow": 1, "503": 1}).on_create(1) == "503"


def test_callback_faults_occur_together():
    assert Faults(1, {"duplicate": 1, "delay": 1}).on_callback(1, 1) == {"duplicate", "delay"}


def test_injected_fault_occurs_on_the_next_creates_only():
    faults = Faults(1, {})
    faults.inject("timeout", 2)
    assert [faults.on_create(n) for n in range(3)] == ["timeout", "timeout", None]


def test_all_rates_can_be_read():
    assert dict(Faults(1, {"cut": 0.5}).rates) == dict.fromkeys(ALL, 0.0) | {"cut": 0.5}


@pytest.mark.parametrize("rates", [{"fire": 0.1}, {"cut": 1.1}, {"cut": -0.1}])
def test_invalid_rate_is_rejected(rates):
    with pytest.raises(ValueError, match=r"fault|rate"):
        Faults(1, rates)


@pytest.mark.parametrize(("fault", "count"), [("duplicate", 1), ("fire", 1), ("cut", 0)])
def test_only_create_faults_can_be_injected(fault, count):
    with pytest.raises(ValueError, match=r"fault|count"):
        Faults(1, {}).inject(fault, count)
