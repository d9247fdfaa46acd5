"""Plans of the run with webhook receivers that fail: endpoints, messages and disturbances."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from service.domain.status import FINAL, Status

# Seconds, as in the field. A plan divides them by its time factor.
DOWN: Final = 3_600.0

RETRY_AFTER: Final = 4  # seconds; the receiver process reads it here
FIRST: Final = "first"
SECOND: Final = "second"
#: Messages of the second client that name its endpoint `narrow`.
NARROW: Final = "narrow"
#: Groups of messages, and their clients.
GROUPS: Final = {FIRST: FIRST, SECOND: SECOND, NARROW: SECOND}
SECOND_WORKER: Final = "worker-webhooks-2"
STEADY: Final = "steady"
GONE: Final = "gone"
THROTTLING: Final = "throttling"
DOWN_RECEIVER: Final = "down"
_ALL: Final = tuple(Status)


class Subscription(NamedTuple):
    """An endpoint, and what its receiver does until the recovery."""

    client: str
    habit: str = "works"
    statuses: Sequence[Status] = tuple(FINAL)


ENDPOINTS: Final[Mapping[str, Subscription]] = {
    STEADY: Subscription(FIRST, statuses=_ALL),
    DOWN_RECEIVER: Subscription(FIRST, "is down", _ALL),
    "flaky": Subscription(FIRST, "is flaky", _ALL),
    "failing": Subscription(FIRST, "fails"),
    "hanging": Subscription(FIRST, "hangs"),
    THROTTLING: Subscription(FIRST, "throttles"),
    "cutting": Subscription(FIRST, "cuts"),
    GONE: Subscription(FIRST, "is gone"),
    "finals": Subscription(SECOND),
    NARROW: Subscription(SECOND),
}


@dataclass(frozen=True)
class Plan:
    """One run. Durations are in seconds."""

    seed: int
    factor: float  # how much shorter than in the field
    rate: float  # posts per second
    warm_up: float  # seconds during which every receiver works
    pause: float  # seconds between disturbances
    disturbances: tuple[tuple[str, float], ...]  # name and duration in seconds
    settle_timeout: float

    @property
    def down(self) -> float:
        """Return how long receivers fail."""
        return DOWN / self.factor

    @property
    def simulator(self) -> tuple[str, ...]:
        """Return the command line of the simulator: it delivers every message it accepts."""
        faults = ("duplicate=0.05", "reorder=0.1", "early=0.05")
        options = (part for fault in faults for part in ("--fault", fault))
        return (*options, "--outcome", "delivered=1", "--seed", str(self.seed), "--pace", "2")


SETTINGS: Final = {
    "WEBHOOK_ALLOW_HTTP": "true",
    "WEBHOOK_NETWORKS": "127.0.0.0/8",
}


def describe(plan: Plan) -> str:
    """Return the time factor in words."""
    return f"receivers fail for {DOWN / 60:.0f} min; time factor {plan.factor:g}: {plan.down:.0f} s"


def short(seed: int) -> Plan:
    """Return a plan of a bit more than one minute."""
    kills = [("worker-webhooks", 0.5), (SECOND_WORKER, 0.5), ("worker-status", 0.5)]
    return Plan(
        seed=seed,
        factor=144,
        rate=8,
        warm_up=2,
        pause=1.5,
        # Kills first: the lease of what a killed worker held is almost over at the end.
        disturbances=(*_shuffled(seed, kills), *_shuffled(seed, [("redis", 0.5), ("postgres", 3)])),
        settle_timeout=90,
    )


def long(seed: int) -> Plan:
    """Return the plan of the run in docs/reliability.md."""
    kills = [*[("worker-webhooks", 1.0)] * 3, *[(SECOND_WORKER, 1.0)] * 3]
    # Longer than the lease of a delivery (45 s): the other worker takes it over.
    freezes = [("frozen worker-webhooks", 50.0), ("frozen redis", 5.0)]
    stores = [("redis", 1.0), ("postgres", 10.0), ("swallowed postgres", 12.0)]
    others = [("worker-status", 1.0), ("worker-status", 1.0), ("worker-send", 1.0), ("web", 1.0)]
    return Plan(
        seed=seed,
        factor=24,
        rate=8,
        warm_up=5,
        pause=3,
        disturbances=_shuffled(seed, [*kills, *freezes, *stores, *others]),
        settle_timeout=240,
    )


def _shuffled(seed: int, disturbances: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple(random.Random(seed).sample(disturbances, len(disturbances)))
