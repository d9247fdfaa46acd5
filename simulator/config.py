"""Every knob of the simulator, with its default."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# A message that stays at "sent" is normal life: some carriers never send a receipt.
DEFAULT_FATES: Mapping[str, float] = {
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
    """How one simulator behaves. Durations are in seconds."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 takes any free port
    account_sid: str = "AC00000000000000000000000000000001"
    auth_token: str = "simulator-auth-token"  # noqa: S105 - opens nothing but a simulator
    sinch_plan: str = "simulated-plan"
    sinch_token: str = "simulator-api-token"  # noqa: S105 - nor does this
    sinch_secret: str = "simulator-callback-secret"  # noqa: S105 - nor this
    seed: int = 1
    pace: float = 1.0  # multiplies the time between two statuses; 0 is at once
    faults: Mapping[str, float] = field(default_factory=dict)
    fates: Mapping[str, float] = field(default_factory=lambda: DEFAULT_FATES)
    slow: float = 1.0  # how late the fault "slow" answers a create
    retry_after: int = 0  # the seconds that a 429 names in Retry-After; 0: it names none
    hang: float = 120.0  # how long the fault "timeout" waits for the client to give up
    delay: float = 1.0  # how late the fault "delay" sends a callback
    hold: float = 1.0  # how long the fault "reorder" waits to be overtaken
    retry_pause: float = 0.1  # before Twilio's first retry of a callback; doubles each time
    sinch_retry_factor: float = 0.02  # shortens Sinch's schedule, which lasts 45 hours
    concurrency: int = 256  # callback requests under way at once
    keep_alive: bool = False  # use callback connections again, as Twilio does not; for load tests
    keep: int = 100_000  # messages remembered; the oldest are forgotten, the totals stay
