"""Bursts of callbacks with pauses longer than the idle time-out of the server's threads."""

import pytest
import requests

from bench.callbacks import BASE_URL
from tests.as_started.bursts import Plan, Run, recorded, run
from tests.as_started.conftest import Install
from tests.as_started.installation import Installation, until
from tests.as_started.load import CONNECTIONS

pytestmark = pytest.mark.slow

# Redis connections that serve no request: heartbeats, wake-ups, limits.
_BACKGROUND = 8


@pytest.fixture
def waybill(install: Install, request: pytest.FixtureRequest) -> Installation:
    installation = install(request.param, PUBLIC_BASE_URL=BASE_URL)
    installation.start("worker-status")
    return installation


def assert_steady(waybill: Installation, run: Run, expected: int) -> None:
    assert run.overflow == 0
    assert run.accepted == expected
    assert max(run.connections) - run.connections[0] <= CONNECTIONS + _BACKGROUND
    assert requests.get(f"{waybill.url}/readyz", timeout=20).json()["status"] == "ready"
    until(lambda: recorded(waybill) == expected, 120)


@pytest.mark.parametrize("waybill", ["README.md", "docker-compose.yml"], indirect=True)
def test_ended_threads_leave_no_connections(waybill: Installation) -> None:
    plan = Plan(bursts=4, size=400, pause=7.0, idle_timeout="5")
    assert_steady(waybill, run(waybill, plan), 1600)


@pytest.mark.parametrize("waybill", ["README.md"], indirect=True)
def test_eight_bursts_with_the_default_idle_timeout(waybill: Installation) -> None:
    plan = Plan(bursts=8, size=2_000, pause=35.0, idle_timeout="30")
    assert_steady(waybill, run(waybill, plan), 16_000)
