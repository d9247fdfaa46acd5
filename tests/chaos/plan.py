"""Plans of chaos runs: traffic, disturbances and time-outs."""

import random
from dataclasses import dataclass, field
from typing import Final

#: Rates of all faults of the simulated provider.
PROVIDER_FAULTS: Final = {
    "429": 0.03,
    "500": 0.01,
    "500-unprocessed": 0.01,
    "503": 0.01,
    "timeout": 0.005,
    "cut": 0.01,
    "cut-before": 0.01,
    "early": 0.05,
    "slow": 0.05,
    "drop": 0.02,
    "duplicate": 0.05,
    "reorder": 0.05,
    "delay": 0.05,
}
KILLS: Final = ("worker-send", "worker-status", "web", "beat")
#: Before the name of a process that is paused with SIGSTOP; its connections stay open.
FROZEN: Final = "frozen "


@dataclass(frozen=True)
class Plan:
    """One run. The same seed gives the same run, as far as the machine's timing allows."""

    seed: int
    messages: int
    rate: float  # posts per second
    warm_up: float  # seconds of traffic before the first disturbance
    pause: float  # seconds between disturbances
    disturbances: tuple[tuple[str, float], ...]  # name and duration in seconds
    settle_timeout: float  # seconds to wait until all messages are settled
    persons: int  # recipients who write back, each once in a turn
    turns: int
    turn_seconds: float
    simulator: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the command line of the simulator."""
        faults = (f"--fault={name}={rate}" for name, rate in PROVIDER_FAULTS.items())
        arguments = (*faults, "--seed", str(self.seed), "--pace", "6", "--slow-ms", "500")
        object.__setattr__(self, "simulator", arguments)


def short(seed: int) -> Plan:
    """Return a plan of one minute with every disturbance once."""
    return Plan(
        seed=seed,
        messages=600,
        rate=30,
        warm_up=1.5,
        pause=1.5,
        disturbances=(
            *_shuffled(
                seed,
                [
                    *((name, 1.0) for name in KILLS),
                    *[("redis", 0.5), ("frozen redis", 2.0), ("frozen worker-send", 12.0)],
                    *[("swallowed redis", 5.0), ("swallowed postgres", 5.0)],
                ],
            ),
            ("postgres", 3.0),
            ("redis without its file", 0.5),
        ),
        settle_timeout=100,
        persons=80,
        turns=2,
        turn_seconds=25,
    )


def long(seed: int) -> Plan:
    """Return the plan of the run in docs/reliability.md."""
    kills = [(name, 1.0) for name in ("worker-send", "worker-status", "web") for _ in range(3)]
    # Longer than the lease of a claim (10 s) and than the idle time of an inbox entry (20 s).
    freezes = [
        *[("frozen worker-send", 12.0), ("frozen worker-send", 25.0), ("frozen web", 8.0)],
        *[("frozen worker-status", 12.0), ("frozen worker-status", 25.0)],
        *[("swallowed redis", 12.0), ("swallowed redis", 30.0)],
        *[("swallowed postgres", 12.0), ("swallowed postgres", 30.0)],
    ]
    return Plan(
        seed=seed,
        messages=20_000,
        rate=60,
        warm_up=5,
        pause=8,
        disturbances=_shuffled(
            seed,
            [
                *kills,
                *freezes,
                *[("beat", 1.0), ("redis", 1.0), ("redis", 1.0), ("redis without its file", 1.0)],
                *[("redis without its file", 1.0), ("postgres", 60.0), ("frozen redis", 20.0)],
                ("rolling restart", 2.0),
            ],
        ),
        settle_timeout=420,
        persons=400,
        turns=6,
        turn_seconds=70,
    )


def _shuffled(seed: int, disturbances: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple(random.Random(seed).sample(disturbances, len(disturbances)))
