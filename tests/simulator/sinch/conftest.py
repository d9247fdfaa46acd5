"""A client of the batches API, written by hand: Sinch's own is no part of this project."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from simulator.running import Running


class Plan:
    """The service plan of a simulator."""

    def __init__(self, simulator: Running, token: str | None = None) -> None:
        config = simulator.config
        self.simulator = simulator
        self.url = f"{simulator.url}/xms/v1/{config.sinch_plan}/batches"
        self.headers = {"Authorization": f"Bearer {token or config.sinch_token}"}

    def call(self, method: str, path: str = "", **how: Any) -> requests.Response:
        return requests.request(method, self.url + path, headers=self.headers, timeout=10, **how)

    def send(self, **changes: Any) -> requests.Response:
        batch = {"to": ["+14155552671"], "from": "ACME", "body": "Hello", **changes}
        return self.call("POST", json=batch)

    def reported(self, webhook: Any, **changes: Any) -> Any:
        """Send one that calls back, and wait until all is said."""
        batch = self.send(delivery_report="per_recipient", callback_url=webhook.url, **changes)
        self.simulator.wait_until_idle(30)
        return batch.json()


@pytest.fixture
def plan_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    monkeypatch.setenv("no_proxy", "*")
    return Plan


@pytest.fixture
def plan(simulator: Running, plan_of: Callable[..., Plan]) -> Plan:
    return plan_of(simulator)
