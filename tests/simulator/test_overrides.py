"""Connection overrides in the fragment of a callback URL."""

import pytest

from simulator import overrides as rules
from simulator.patience import Patience


def read_overrides(fragment: str) -> Patience:
    return rules.read_overrides(fragment, pause=0.1)


def test_by_default_only_a_failed_connection_is_tried_again_and_once():
    overrides = read_overrides("")
    assert (overrides.connect, overrides.read, overrides.total) == (5.0, 15.0, 15.0)
    assert overrides.pauses == (0.1,)
    assert overrides.policy == {"ct"}


def test_every_value_can_be_set():
    overrides = read_overrides("ct=2000&rt=2500&tt=9000&rc=4&rp=5xx,rt&sni=n")
    assert (overrides.connect, overrides.read, overrides.total) == (2.0, 2.5, 9.0)
    assert overrides.pauses == (0.1, 0.2, 0.4, 0.8)
    assert overrides.policy == {"5xx", "rt"}
    assert not overrides.verify


@pytest.mark.parametrize(
    ("fragment", "name", "value"),
    [
        ("ct=1", "connect", 0.1),
        ("ct=99999", "connect", 10.0),
        ("rt=1", "read", 0.1),
        ("rt=99999", "read", 15.0),
        ("tt=99999", "total", 15.0),
        ("rc=9", "pauses", (0.1, 0.2, 0.4, 0.8, 1.6)),
        ("rc=-1", "pauses", (0.1,)),
        ("rc=many", "pauses", (0.1,)),
    ],
)
def test_what_is_out_of_range_is_clamped_and_nonsense_ignored(fragment, name, value):
    assert getattr(read_overrides(fragment), name) == value


def test_all_covers_every_failure():
    assert read_overrides("rp=all").policy >= {"4xx", "429", "5xx", "ct", "rt"}
    assert read_overrides("rp=4xx").policy == {"4xx", "429"}


def test_an_unknown_policy_word_means_nothing():
    assert read_overrides("rp=5xx,sometimes").policy == {"5xx"}
