"""The short run with failing webhook receivers. `make chaos PART=webhooks` is the long one."""

import pytest

from tests.chaos.webhooks import plan
from tests.chaos.webhooks.run import run


@pytest.mark.slow
def test_every_event_arrives_although_receivers_fail_and_workers_die() -> None:
    result = run(plan.short(seed=20261126))

    assert result.holds(), [claim for claim in result.claims if claim.holds is False]
