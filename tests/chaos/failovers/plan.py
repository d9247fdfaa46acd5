"""Plans of the run with failovers: the installation, its settings and the events."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: Installations: what survives the loss of a machine, and what outgrows one.
SENTINEL: Final = "sentinel"
CLUSTER: Final = "cluster"

MASTER_KILLED: Final = "master killed"
MASTER_FROZEN: Final = "master frozen"
PLANNED: Final = "planned failover"
SENTINEL_KILLED: Final = "sentinel killed"
STANDBY_PROMOTED: Final = "standby promoted"
NODE_KILLED: Final = "cluster node killed"
SLOT_MOVED: Final = "slot moved"
BROKER_KILLED: Final = "broker node killed"
#: Planned on a cluster: a replica takes the place of its master.
TAKEOVER: Final = "planned takeover"


#: How often the master is killed to count what the inbox loses.
SHORT_LOSS: Final = 3
LONG_LOSS: Final = 20


@dataclass(frozen=True)
class Plan:
    """One run of one installation. Durations are in seconds."""

    seed: int
    installation: str
    replicas: int  # INBOX_REPLICAS
    events: Sequence[str]
    rate: float  # messages per second
    warm_up: float  # traffic before the first event
    observed: float  # shortest time from an event to its repair, and from there to the next event
    timeout: float  # longest time until all services go on
    settle_timeout: float

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of Waybill."""
        streams = {"INBOX_STREAMS": "4"} if self.installation == CLUSTER else {}
        return {"INBOX_REPLICAS": str(self.replicas), **streams}

    @property
    def simulator(self) -> tuple[str, ...]:
        """Return the command line of the simulator: only its callbacks have faults."""
        faults = (f"--fault={name}=0.05" for name in ("duplicate", "early", "reorder"))
        return (*faults, "--seed", str(self.seed), "--pace", "4")


def short(seed: int) -> list[Plan]:
    """Return plans with every event once, of two minutes each."""
    sentinel = (MASTER_KILLED, SENTINEL_KILLED, STANDBY_PROMOTED, PLANNED)
    cluster = (SLOT_MOVED, NODE_KILLED, BROKER_KILLED)
    return [
        _short(seed, installation, events)
        for installation, events in ((SENTINEL, sentinel), (CLUSTER, cluster))
    ]


def long(seed: int) -> list[Plan]:
    """Return the plans of the run in docs/reliability.md."""
    kills = [MASTER_KILLED] * 20
    others = [MASTER_FROZEN, PLANNED, SENTINEL_KILLED, STANDBY_PROMOTED] * 3
    cluster = [*[NODE_KILLED] * 20, *[SLOT_MOVED, TAKEOVER, BROKER_KILLED, STANDBY_PROMOTED] * 3]
    return [
        _long(seed, SENTINEL, 0, kills),
        _long(seed, SENTINEL, 1, kills),
        _long(seed, SENTINEL, 1, _shuffled(seed, others)),
        _long(seed, CLUSTER, 1, _shuffled(seed, cluster)),
    ]


def _short(seed: int, installation: str, events: Sequence[str]) -> Plan:
    return Plan(
        seed=seed,
        installation=installation,
        replicas=1,
        events=events,
        rate=15,
        warm_up=3,
        observed=4,
        timeout=60,
        settle_timeout=90,
    )


def _long(seed: int, installation: str, replicas: int, events: Sequence[str]) -> Plan:
    return Plan(
        seed=seed,
        installation=installation,
        replicas=replicas,
        events=events,
        rate=40,
        warm_up=5,
        observed=5,
        timeout=120,
        settle_timeout=300,
    )


def _shuffled(seed: int, events: list[str]) -> list[str]:
    return random.Random(seed).sample(events, len(events))
