"""The scheduled outages of the simulated provider."""

from datetime import datetime
from typing import Any, NamedTuple

import requests

from demo.stack import ACCOUNT
from simulator.running import Running
from tests.chaos.outages.plan import HANGING, PREFIXES, SECOND_ACCOUNT, Plan


class Outage(NamedTuple):
    """An outage as the simulator recorded it."""

    id: int
    starts_at: datetime
    ends_at: datetime
    answered: int


class Schedule:
    """Adds the outages of a plan, and reads what they answered."""

    def __init__(self, simulator: Running) -> None:
        self._simulator = simulator
        self._ids = dict[str, int]()

    def begin(self) -> None:
        """Let the account and the first provider answer 429 until the schedule is set."""
        self._add("429 before", provider="twilio", account=ACCOUNT, status=429)
        self._add("sinch before", provider="sinch", status=429)

    def set(self, plan: Plan) -> None:
        """Schedule the outages from now on."""
        half = plan.throttled / 2
        account = {"provider": "twilio", "account": ACCOUNT}
        self._add("429", **account, status=429, duration=half)
        self._add(
            "429 with Retry-After",
            **account,
            status=429,
            after=half,
            duration=half,
            retry_after=plan.retry_after,
        )
        self._add(
            "20005",
            **account,
            code=20005,
            calls="all",
            after=plan.throttled,
            duration=plan.suspended,
        )
        self._add("sinch", provider="sinch", status=429, duration=plan.refusing)
        for name in ("429 before", "sinch before"):
            requests.delete(self._url(name), timeout=10).raise_for_status()

    def hang(self, seconds: float) -> None:
        """Let the second account answer no create request: half of them are processed."""
        second: dict[str, Any] = {"provider": "twilio", "account": SECOND_ACCOUNT}
        for fault, digit in (("timeout", 0), ("timeout-unprocessed", 1)):
            prefix = f"{PREFIXES[HANGING]}{digit}"
            self._add(fault, **second, fault=fault, prefix=prefix, duration=seconds)

    def outages(self) -> dict[str, Outage]:
        """Return the records of the outages by name."""
        records = {entry["id"]: entry for entry in self._simulator.outages()}
        return {name: _outage(records[number]) for name, number in self._ids.items()}

    def _url(self, name: str) -> str:
        return f"{self._simulator.url}/_simulator/outages/{self._ids[name]}"

    def _add(self, name: str, **fields: object) -> None:
        self._ids[name] = self._simulator.add_outage(**fields)["id"]


def _outage(entry: dict[str, Any]) -> Outage:
    starts_at, ends_at = (datetime.fromisoformat(entry[name]) for name in ("starts_at", "ends_at"))
    return Outage(entry["id"], starts_at, ends_at, entry["answered"])
