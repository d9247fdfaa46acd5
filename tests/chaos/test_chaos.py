"""The promises under fire, in short. `make chaos` is the long version."""

import pytest

from tests.chaos import plan
from tests.chaos.run import run


@pytest.mark.slow
def test_nothing_is_sent_twice_or_lost_while_everything_is_killed_in_turn() -> None:
    result = run(plan.short(seed=20261121))

    assert result.verdict.holds(), (result.verdict, result.totals)
    assert result.totals["callbacks acknowledged"] > 1000
    assert "NOT" not in result.audit
