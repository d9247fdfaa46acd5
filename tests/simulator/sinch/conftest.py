"""A minimal client of the batches API: the project does not use Sinch's own."""

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

    def call(self, method: str, path: str = "", **options: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, headers=self.headers, timeout=10, **options
        )

    def send(self, **changes: Any) -> requests.Response:
        batch = {"to": ["+14155552671"], "from": "ACME", "body": "Hello", **changes}
        return self.call("POST", json=batch)

    def send_with_callbacks(self, webhook: Any, **changes: Any) -> Any:
        """Send a batch with callbacks, and wait until all were sent."""
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
