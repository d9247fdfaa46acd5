"""Connection overrides in the fragment of a callback URL."""

import pytest

from simulator import overrides as overrides_module
from simulator.retry_policy import RetryPolicy


def parse_overrides(fragment: str) -> RetryPolicy:
    return overrides_module.parse_overrides(fragment, backoff=0.1)


def timeouts(policy: RetryPolicy) -> tuple[float, float, float]:
    return policy.connect_timeout, policy.read_timeout, policy.total_timeout


def test_failed_connection_is_retried_once_by_default():
    overrides = parse_overrides("")
    assert timeouts(overrides) == (5.0, 15.0, 15.0)
    assert overrides.backoffs == (0.1,)
    assert overrides.retry_on == {"ct"}


def test_every_override_can_be_set():
    overrides = parse_overrides("ct=2000&rt=2500&tt=9000&rc=4&rp=5xx,rt&sni=n")
    assert timeouts(overrides) == (2.0, 2.5, 9.0)
    assert overrides.backoffs == (0.1, 0.2, 0.4, 0.8)
    assert overrides.retry_on == {"5xx", "rt"}
    assert not overrides.verify_certificate


@pytest.mark.parametrize(
    ("fragment", "name", "value"),
    [
        ("ct=1", "connect_timeout", 0.1),
        ("ct=99999", "connect_timeout", 10.0),
        ("rt=1", "read_timeout", 0.1),
        ("rt=99999", "read_timeout", 15.0),
        ("tt=99999", "total_timeout", 15.0),
        ("rc=9", "backoffs", (0.1, 0.2, 0.4, 0.8, 1.6)),
        ("rc=-1", "backoffs", (0.1,)),
        ("rc=many", "backoffs", (0.1,)),
    ],
)
def test_out_of_range_values_are_clamped(fragment, name, value):
    assert getattr(parse_overrides(fragment), name) == value


def test_rp_all_covers_every_failure():
    assert parse_overrides("rp=all").retry_on >= {"4xx", "429", "5xx", "ct", "rt"}
    assert parse_overrides("rp=4xx").retry_on == {"4xx", "429"}


def test_unknown_failure_kind_is_ignored():
    assert parse_overrides("rp=5xx,sometimes").retry_on == {"5xx"}
