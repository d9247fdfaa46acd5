"""Options of the simulator, with their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.accounts import Account, Accounts

# Some mobile networks never send a receipt: their messages stay at "sent".
DEFAULT_OUTCOMES: Mapping[str, float] = {
    "delivered": 0.91,
    "undelivered-30003": 0.02,
    "undelivered-30005": 0.01,
    "undelivered-30006": 0.01,
    "failed-30007": 0.01,
    "failed-30008": 0.01,
    "sent": 0.03,
}


@dataclass(frozen=True, slots=True)
class Config:
    """Options of one simulator. Durations are in seconds."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free port
    account_sid: str = "AC00000000000000000000000000000001"
    auth_token: str = "simulator-auth-token"  # noqa: S105 - accepted by the simulator only
    sinch_plan: str = "simulated-plan"
    sinch_token: str = "simulator-api-token"  # noqa: S105 - as above
    sinch_secret: str = "simulator-callback-secret"  # noqa: S105 - as above
    sinch_token_lifetime: float = 3_600.0  # of the access tokens of projects
    accounts: tuple[Account, ...] = ()  # more accounts; one with the same ID replaces the default
    # Webhook URLs of inbound messages, by provider or account; the control API changes them.
    inbound_urls: Mapping[str, str] = field(default_factory=dict)
    seed: int = 1
    pace: float = 1.0  # multiplies the time between two statuses; 0: no delay
    queue_time: float = 0.0  # time in the provider's queue, added to the pace
    faults: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, float] = field(default_factory=lambda: DEFAULT_OUTCOMES)
    slow: float = 1.0  # delay of the answer to a create, for the fault "slow"
    retry_after: int = 0  # Retry-After of a 429; 0: no such header
    hang: float = 120.0  # longest wait for the client to disconnect, for the fault "timeout"
    delay: float = 1.0  # delay of a callback, for the fault "delay"
    hold: float = 1.0  # longest wait for a later callback, for the fault "reorder"
    retry_pause: float = 0.1  # backoff before Twilio's first retry of a callback; doubles each time
    sinch_retry_factor: float = (
        0.02  # multiplies the backoffs of Sinch, which last 45 hours in total
    )
    concurrency: int = 256  # concurrent callback requests
    keep_alive: bool = False  # reuse callback connections, for load tests; Twilio closes them
    keep: int = 100_000  # messages kept in memory; totals include the others

    def all_accounts(self) -> Accounts:
        """Return the default account of each provider, and the others."""
        twilio = Account("twilio", self.account_sid, self.auth_token)
        sinch = Account("sinch", self.sinch_plan, self.sinch_token, self.sinch_secret)
        return Accounts((twilio, sinch, *self.accounts))
