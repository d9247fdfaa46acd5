"""The short chaos run. `make chaos` is the long one."""

import pytest

from tests.chaos import plan
from tests.chaos.run import run


@pytest.mark.slow
def test_nothing_is_lost_or_repeated_when_processes_are_killed() -> None:
    result = run(plan.short(seed=20261121))

    assert result.verdict.holds(), (result.verdict, result.totals)
    assert result.totals["callbacks acknowledged"] > 1000
    assert result.totals["inbound: written"] == 160
    assert result.totals["inbound: pairs with one possible state"] > 50
