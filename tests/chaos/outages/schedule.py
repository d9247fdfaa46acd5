"""The scheduled outages of the simulated provider."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import requests

from demo.stack import ACCOUNT
from simulator.running import Running
from tests.chaos.outages.plan import HANGING, PREFIXES, SECOND_ACCOUNT, Plan

#: Outages in which a call gets no answer; in the first its message is sent all the same.
HANGS: Final = ("timeout", "timeout-unprocessed")


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
        """Make the account and the first provider answer 429 until the schedule is set."""
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
        self.end(("429 before", "sinch before"))

    def hang(self) -> None:
        """Make the second account answer no create request: half of them are processed."""
        second: dict[str, Any] = {"provider": "twilio", "account": SECOND_ACCOUNT}
        for digit, fault in enumerate(HANGS):
            self._add(fault, **second, fault=fault, prefix=f"{PREFIXES[HANGING]}{digit}")

    def hung(self) -> int:
        """Return how many calls got no answer."""
        records = {entry["id"]: entry for entry in self._simulator.outages()}
        return sum(records[self._ids[fault]]["answered"] for fault in HANGS)

    def end(self, names: Iterable[str]) -> None:
        """End outages now."""
        for name in names:
            url = f"{self._simulator.url}/_simulator/outages/{self._ids[name]}"
            requests.delete(url, timeout=10).raise_for_status()

    def outages(self) -> dict[str, Outage]:
        """Return the records of the outages by name."""
        records = {entry["id"]: entry for entry in self._simulator.outages()}
        return {name: _outage(records[number]) for name, number in self._ids.items()}

    def _add(self, name: str, **fields: object) -> None:
        self._ids[name] = self._simulator.add_outage(**fields)["id"]


def _outage(entry: dict[str, Any]) -> Outage:
    starts_at, ends_at = (datetime.fromisoformat(entry[name]) for name in ("starts_at", "ends_at"))
    return Outage(entry["id"], starts_at, ends_at, entry["answered"])
