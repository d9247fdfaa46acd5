"""Plans of the run with provider outages: durations, messages, routes and kills."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

# Seconds, as in the field. A plan divides them by its time factor.
THROTTLED: Final = 1_200.0
SUSPENDED: Final = 600.0
PATIENCE: Final = 14_400.0
RETRY_AFTER: Final = 60.0

SECOND_ACCOUNT: Final = "AC00000000000000000000000000000002"
SECOND_TOKEN: Final = "only-for-the-simulator-too"
SECOND_SENDER: Final = "+14155550100"

#: Groups of messages: the prefix of their recipients, by which SMS_ROUTES tells them apart.
PENDING: Final = "pending"  # 5,000 messages of an account that accepts nothing
STANDBY: Final = "standby"  # the same account, with a second account behind it
FAILOVER: Final = "failover"  # a provider that accepts nothing, with a second one behind it
HANGING: Final = "hanging"  # a provider that does not answer, with a second one behind it
PREFIXES: Final = {PENDING: "+1415", STANDBY: "+4520", FAILOVER: "+4670", HANGING: "+4740"}
#: A second send worker: while one starts again after a kill, the other sends.
SECOND_WORKER: Final = "worker-send-2"
# In the four phases: 429, 429 with Retry-After, suspended, recovery. No web server: on a busy
# machine it takes a minute to start, without traffic that could fail over.
_KILLED: Final = (
    ("worker-send", "worker-status"),
    (SECOND_WORKER, "redis"),
    ("worker-send", "beat"),
    (SECOND_WORKER, "worker-status"),
)
ROUTES: Final = "+45:twilio>twilio/second,+46:sinch>twilio/second,+47:twilio/second>sinch,*:twilio"


def recipient(group: str, number: int) -> str:
    """Return the recipient of a message, valid in its country.

    The digit after the prefix divides a group: even numbers have 0, odd ones 1.
    """
    length = 6 if group in (PENDING, FAILOVER) else 5
    return f"{PREFIXES[group]}{number % 2}{number:0{length}d}"


class Kill(NamedTuple):
    """A process to kill, some seconds after the outages began."""

    at: float
    name: str


@dataclass(frozen=True)
class Plan:
    """One run. Durations are in seconds."""

    seed: int
    factor: float  # how much shorter than in the field
    pending: int  # messages that wait while their account accepts nothing
    rate: float  # posts per second of each of the other groups
    failover_after: float
    hanging: int  # messages to a provider that does not answer
    first_killed: int  # the first phase with kills, of four
    settle_timeout: float

    @property
    def throttled(self) -> float:
        """Return how long the account answers 429."""
        return THROTTLED / self.factor

    @property
    def suspended(self) -> float:
        """Return how long the account is suspended, after that."""
        return SUSPENDED / self.factor

    @property
    def retry_after(self) -> int:
        """Return the `Retry-After` of the 429."""
        return ceil(RETRY_AFTER / self.factor)

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of Waybill."""
        return {
            "SMS_ROUTES": ROUTES,
            "SEND_PATIENCE": f"{PATIENCE / self.factor:g}",
            "FAILOVER_AFTER": f"{self.failover_after:g}",
            "DOUBT_FIRST_LOOKUP": "1",
            "DOUBT_LOOKUPS": "3",
        }

    @property
    def simulator(self) -> tuple[str, ...]:
        """Return the command line of the simulator: it delivers every message it accepts."""
        faults = ("duplicate=0.05", "reorder=0.05", "early=0.05", "drop=0.01")
        options = (part for fault in faults for part in ("--fault", fault))
        return (*options, "--outcome", "delivered=1", "--seed", str(self.seed), "--pace", "2")

    @property
    def refusing(self) -> float:
        """Return how long the first provider of a route refuses: some time longer than Twilio."""
        return self.throttled + self.suspended + self.failover_after

    def kills(self) -> Iterator[Kill]:
        """Yield the kills in order: in each phase a send worker and another process."""
        chance, half = random.Random(self.seed), self.throttled / 2
        ends = self.throttled + self.suspended
        phases = [(0.0, half), (half, half), (self.throttled, self.suspended), (ends, 6.0)]
        for (start, length), killed in [*zip(phases, _KILLED, strict=True)][self.first_killed :]:
            moments = sorted(chance.uniform(0.15, 0.85) for _ in range(2))
            for moment, name in zip(moments, chance.sample(killed, 2), strict=True):
                yield Kill(start + moment * length, name)

    def validity(self, number: int) -> int | None:
        """Return the seconds in which a pending message may be sent; None for the default.

        Of ten messages, one expires during the outages, and one at about their end.
        """
        outages, chance = self.throttled + self.suspended, random.Random(f"{self.seed} {number}")
        if number % 10 == 3:
            return ceil(chance.uniform(0.1, 0.9) * outages)
        if number % 10 == 7:
            return ceil(chance.uniform(0.9, 1.3) * outages)
        return None


def describe(plan: Plan) -> str:
    """Return the outages and the time factor in words."""
    return (
        f"429 for {THROTTLED / 60:.0f} min, in the second half with Retry-After, then 20005 for "
        f"{SUSPENDED / 60:.0f} min; time factor {plan.factor:g}: {plan.throttled:.0f} s and "
        f"{plan.suspended:.0f} s, SEND_PATIENCE {PATIENCE / plan.factor:.0f} s, "
        f"FAILOVER_AFTER {plan.failover_after:.0f} s"
    )


def short(seed: int) -> Plan:
    """Return a plan of about one minute."""
    return Plan(
        seed=seed,
        factor=80,
        pending=600,
        rate=3,
        failover_after=5,
        hanging=16,
        first_killed=3,
        settle_timeout=60,
    )


def long(seed: int) -> Plan:
    """Return the plan of the run in docs/reliability.md."""
    return Plan(
        seed=seed,
        factor=30,
        pending=5_000,
        rate=5,
        failover_after=30,
        hanging=60,
        first_killed=0,
        settle_timeout=240,
    )
