"""One outage: its time, its scope and its answer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from simulator.accounts import Account
from simulator.faults import CREATE_WITHOUT_ANSWER, PROCESSED
from simulator.message import Order

ERROR: Final = "error"  # answers with a status and a code, and creates no message
FAULTS: Final = (*PROCESSED, *CREATE_WITHOUT_ANSWER)


@dataclass(slots=True)
class Outage:
    """A scheduled outage; a scope that is None covers all."""

    id: int
    starts_at: datetime
    ends_at: datetime | None  # None: until a control call ends it
    provider: str | None = None
    account: str | None = None  # Twilio: account SID; Sinch: service plan or project
    sender: str | None = None  # a number, a name, or a Messaging Service
    prefix: str | None = None  # of the recipient's number: +46
    calls: str = "creates"  # or `all`: also look-ups and cancellations
    fault: str = ERROR
    status: int | None = None
    code: int | str | None = None
    retry_after: float | None = None  # seconds
    retry_after_date: float | None = None  # seconds from the answer, sent as an HTTP date
    answered: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """Return the header Retry-After, if the outage has one."""
        if self.retry_after is not None:
            return {"Retry-After": f"{self.retry_after:g}"}
        if self.retry_after_date is not None:
            date = datetime.now(UTC) + timedelta(seconds=self.retry_after_date)
            return {"Retry-After": format_datetime(date, usegmt=True)}
        return {}

    def state(self, now: datetime) -> str:
        """Return `waiting`, `active` or `ended`."""
        if self.ends_at and self.ends_at <= now:
            return "ended"
        return "active" if self.starts_at <= now else "waiting"

    def covers(self, account: Account, order: Order | None) -> bool:
        """Return whether a request is in the scope; only create requests have an order."""
        if self.provider not in (None, account.provider) or self.account not in (None, account.id):
            return False
        if order is None:
            return self.calls == "all"
        if self.sender not in (None, order.sender, order.service):
            return False
        return self.prefix is None or order.recipient_number.startswith(self.prefix)
