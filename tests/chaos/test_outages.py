"""The short run with provider outages. `make chaos PART=outages` is the long one."""

import pytest

from tests.chaos.outages import plan
from tests.chaos.outages.run import run


@pytest.mark.slow
def test_outage_fails_repeats_and_delays_no_message() -> None:
    result = run(plan.short(seed=20261126))

    assert result.holds(), [claim for claim in result.claims if claim.holds is False]
