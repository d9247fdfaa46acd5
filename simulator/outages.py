"""Outages by schedule: of a provider, an account, a sender or a country.

An outage answers the matching requests from one time until another with an error, or with a fault
of create requests. Of several outages that match, the first that was added counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from simulator.accounts import Account
from simulator.message import Order
from simulator.outage import Outage
from simulator.outage_fields import parse_outage

_MAX_OUTAGES: Final = 1_000


class Outages:
    """The scheduled outages, also those that ended."""

    def __init__(self) -> None:
        self._outages: dict[int, Outage] = {}
        self._next_id = 1

    def __iter__(self) -> Iterator[Outage]:
        return iter(self._outages.values())

    def add(self, fields: Mapping[str, Any]) -> Outage:
        """Schedule an outage. Raises ValueError."""
        if len(self._outages) >= _MAX_OUTAGES:
            raise ValueError(f"no more than {_MAX_OUTAGES} outages; restart the simulator")
        outage = parse_outage(self._next_id, fields)
        self._outages[outage.id] = outage
        self._next_id += 1
        return outage

    def end(self, outages: Iterable[Outage]) -> None:
        """End outages now."""
        now = datetime.now(UTC)
        for outage in outages:
            if outage.state(now) != "ended":
                outage.ends_at = now

    def find(self, outage_id: str) -> Outage | None:
        """Return the outage with this ID."""
        return self._outages.get(int(outage_id)) if outage_id.isdecimal() else None

    def answer(self, account: Account, order: Order | None = None) -> Outage | None:
        """Return the outage that answers a request, and count the request."""
        now = datetime.now(UTC)
        for outage in self:
            if outage.state(now) == "active" and outage.covers(account, order):
                outage.answered += 1
                return outage
        return None
