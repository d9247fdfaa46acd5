"""What each account asked for, and the create requests that made no message."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from simulator.accounts import Account
from simulator.message import Order


@dataclass(slots=True)
class AccountTotals:
    """The requests of one account."""

    calls: int = 0  # with valid credentials
    unauthorized: int = 0
    creates: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # creates, by code, status or fault
    tokens: int = 0  # access tokens that a Sinch project got


@dataclass(frozen=True, slots=True)
class Refusal:
    """A create request of which the provider made no message."""

    at: datetime
    account: Account
    reason: str  # the error code, else the status or the fault
    outage: int | None = None
    order: Order | None = None  # None: the request was not valid


class AccountRecords:
    """Totals of each account, and the latest refusals."""

    def __init__(self, keep: int) -> None:
        self._totals: dict[tuple[str, str], AccountTotals] = {}
        self._refusals: deque[Refusal] = deque(maxlen=keep)

    def of(self, account: Account) -> AccountTotals:
        """Return the totals of an account."""
        return self._totals.setdefault((account.provider, account.id), AccountTotals())

    def refuse(
        self, account: Account, reason: str, order: Order | None = None, outage: int | None = None
    ) -> None:
        """Record a create request of which no message was made."""
        self.of(account).refused[reason] += 1
        self._refusals.append(Refusal(datetime.now(UTC), account, reason, outage, order))

    def refusals(self, account_id: str | None = None) -> Iterator[Refusal]:
        """Iterate over the refusals of one account, or of all, oldest first."""
        return (entry for entry in self._refusals if account_id in (None, entry.account.id))
