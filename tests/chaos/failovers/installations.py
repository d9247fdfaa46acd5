"""Installations under test: their servers, the settings of Waybill, and what can happen to them."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.chaos.failovers import events
from tests.chaos.failovers import plan as plans
from tests.cluster.postgres import PostgresStand, postgres_stand
from tests.cluster.rabbitmq import rabbitmq
from tests.cluster.redis_cluster import redis_cluster
from tests.cluster.sentinel import NAME, SentinelStand, sentinel_stand
from tests.proxy import proxy_to

_DOWN_AFTER: Final = 3000  # ms

#: Causes a failure, yields its moment on the monotonic clock, and repairs the servers in the end.
Event = Callable[[], AbstractContextManager[float]]


class Installation(NamedTuple):
    """The settings of Waybill for running servers, and the events by name."""

    settings: Mapping[str, str]
    events: Mapping[str, Event]


@contextmanager
def started(name: str, seed: int, directory: Path) -> Iterator[Installation]:
    """Run the servers of an installation until the end of the block."""
    with ExitStack() as resources:
        yield _INSTALLATIONS[name](resources, random.Random(seed), directory)


def _sentinel(resources: ExitStack, chance: random.Random, directory: Path) -> Installation:
    redis = resources.enter_context(patient_sentinels(directory / "sentinel"))
    postgres = _postgres(resources, directory)
    return Installation(
        {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url},
        {
            plans.MASTER_KILLED: partial(events.master_killed, redis),
            plans.MASTER_FROZEN: partial(events.master_frozen, redis),
            plans.PLANNED: partial(events.planned_failover, redis),
            plans.SENTINEL_KILLED: partial(events.sentinel_killed, redis, chance),
            plans.STANDBY_PROMOTED: partial(events.standby_promoted, postgres),
        },
    )


def _cluster(resources: ExitStack, chance: random.Random, directory: Path) -> Installation:
    redis = resources.enter_context(redis_cluster(directory / "cluster"))
    broker = resources.enter_context(rabbitmq(directory / "rabbitmq", nodes=3))
    front = resources.enter_context(proxy_to(("127.0.0.1", broker.nodes[0].port)))
    postgres = _postgres(resources, directory)
    return Installation(
        {
            "REDIS_URL": redis.url,
            "BROKER_URL": f"amqp://guest:guest@127.0.0.1:{front.port}//",
            "DATABASE_URL": postgres.url,
        },
        {
            plans.NODE_KILLED: partial(events.node_killed, redis, chance),
            plans.SLOT_MOVED: partial(events.slot_moved, redis, chance),
            plans.TAKEOVER: partial(events.planned_takeover, redis, chance),
            plans.BROKER_KILLED: partial(events.broker_killed, broker, front),
            plans.STANDBY_PROMOTED: partial(events.standby_promoted, postgres),
        },
    )


_INSTALLATIONS: Final = {plans.SENTINEL: _sentinel, plans.CLUSTER: _cluster}


@contextmanager
def patient_sentinels(directory: Path) -> Iterator[SentinelStand]:
    """Run the stand with Sentinels that do not replace a master which is only slow.

    On a machine with much other work a master sometimes needs more than a second for an answer.
    Sentinel replaced it, and what it had acknowledged meanwhile was lost: 77 callbacks in one case.
    """
    with sentinel_stand(directory) as stand:
        for sentinel in stand.sentinels:
            sentinel.command("SENTINEL", "SET", NAME, "down-after-milliseconds", _DOWN_AFTER)
        yield stand


def _postgres(resources: ExitStack, directory: Path) -> PostgresStand:
    # Synchronous: a claim that a promotion forgets could send a message twice.
    return resources.enter_context(postgres_stand(directory / "postgres", synchronous=True))
