"""Durations, sizes and targets of the benchmark."""

from typing import Final, NamedTuple


class Plan(NamedTuple):
    """Durations in seconds of one round, and numbers of callbacks, events, messages and rounds."""

    sustained: float = 60
    burst: float = 30
    rounds: int = 2
    drained: int = 40_000
    ledger: int = 10_000_000
    sent: int = 2_000
    posting: float = 4
    steady: float = 40
    outage: float = 60
    watched: float = 20
    delivered: int = 3_000
    recorded: int = 2_500
    compared: int = 12
    simulated: int = 60_000


DEFAULT: Final = Plan()
QUICK: Final = Plan(
    sustained=8,
    burst=4,
    rounds=1,
    drained=16_000,
    ledger=400_000,
    sent=1_500,
    posting=3,
    steady=12,
    outage=5,
    watched=12,
    delivered=1_000,
    recorded=1_000,
    compared=3,
    simulated=20_000,
)
SMALL_LEDGER: Final = 100_000
PREFORK_SENT: Final = 50

# Targets. The names say where the unit is not a ratio or per second.
SUSTAINED_OVER_GUIDE: Final = 1.5
SUSTAINED_OVER_TASKS: Final = 8.0
BACKLOG_SECONDS: Final = 1.0
BURST_OVER_GUIDE: Final = 1.7
VISIBLE_MS: Final = 250.0
RECOVERY_SECONDS: Final = 15.0
DRAIN_POSTGRESQL: Final = 15_000.0
DRAIN_SQLITE: Final = 8_000.0
GROWTH: Final = 1.25
REPLICAS: Final = 1.7
SENDS: Final = 400.0
OVER_PREFORK: Final = 20.0
BATCH: Final = 5_000.0
OVER_PLAIN_VIEW: Final = 1.5
OPS_MS: Final = 300.0
WEB_MB: Final = 120.0
WORKER_MB: Final = 150.0
GROWN_MB: Final = 5.0
EVENTS: Final = 1.02
WEBHOOKS: Final = 1.30
ONE_STREAM: Final = 1.03
CLUSTER: Final = 1.20
