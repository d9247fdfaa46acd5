"""The short runs with failovers. `make chaos PART=failovers` is the long one."""

import pytest

from tests.chaos.failovers import loss, plan
from tests.chaos.failovers.meters import longest_pause
from tests.chaos.failovers.plan import CLUSTER, SENTINEL
from tests.chaos.failovers.run import run

_PLANS = {each.installation: each for each in plan.short(seed=20261127)}


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("installation", [SENTINEL, CLUSTER])
def test_failover_loses_and_repeats_nothing(installation: str) -> None:
    result = run(_PLANS[installation])

    assert result.holds(), [claim for claim in result.claims if claim.holds is False]
    assert result.totals["callbacks acknowledged"] > 100


@pytest.mark.cluster
def test_killed_master_takes_no_callback_with_it() -> None:
    result = loss.run(replicas=1, failovers=plan.SHORT_LOSS)

    assert result.holds(), result.claims


@pytest.mark.parametrize(
    ("moments", "pause"),
    [([], 10), ([1, 2, 9], 7), ([5], 5), ([-3, 0.5, 12], 9.5)],
    ids=["none", "middle", "end", "outside"],
)
def test_pause_is_the_longest_time_without_growth(moments: list[float], pause: float) -> None:
    assert longest_pause(moments, 0, 10) == pause
