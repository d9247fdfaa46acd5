"""Installations under test: their servers, the settings of Waybill, and what can happen to them."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.chaos.failovers import plan as plans
from tests.chaos.failovers.link import slow_links
from tests.cluster.postgres import PostgresStand, postgres_stand
from tests.cluster.rabbitmq import RabbitStand, rabbitmq
from tests.cluster.redis_cluster import ClusterServer, ClusterStand, redis_cluster
from tests.cluster.sentinel import NAME, SentinelStand, sentinel_stand
from tests.proxy import Proxy, proxy_to

_READY: Final = 60.0
_DOWN_AFTER: Final = 3000  # ms
_FROZEN: Final = 8.0  # longer than a failover takes, so that the frozen master returns as one
_DETECTED: Final = 1.0  # seconds until an operator or a health check acts

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
            plans.MASTER_KILLED: partial(master_killed, redis),
            plans.MASTER_FROZEN: partial(_master_frozen, redis),
            plans.PLANNED: partial(_planned_failover, redis),
            plans.SENTINEL_KILLED: partial(_sentinel_killed, redis, chance),
            plans.STANDBY_PROMOTED: partial(_standby_promoted, postgres),
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
            plans.NODE_KILLED: partial(_node_killed, redis, chance),
            plans.SLOT_MOVED: partial(_slot_moved, redis, chance),
            plans.TAKEOVER: partial(_planned_takeover, redis, chance),
            plans.BROKER_KILLED: partial(_broker_killed, broker, front),
            plans.STANDBY_PROMOTED: partial(_standby_promoted, postgres),
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


@contextmanager
def master_killed(stand: SentinelStand) -> Iterator[float]:
    """Lose the machine of the master together with what it has sent in the last milliseconds."""
    master = stand.master
    with slow_links(master, stand.replicas) as cut:
        cut()
        # Not kill(), which looks for children first: the master would acknowledge more meanwhile.
        os.kill(master.pid, signal.SIGKILL)
        moment = time.monotonic()
        master.kill()
        yield moment
    stand.restart(master)
    stand.await_ready(_READY)


@contextmanager
def _master_frozen(stand: SentinelStand) -> Iterator[float]:
    """Let the old master return as a master whose place another server has taken."""
    master, moment = stand.master, time.monotonic()
    master.freeze()
    time.sleep(_FROZEN)
    master.thaw()
    yield moment
    stand.await_ready(_READY)


@contextmanager
def _planned_failover(stand: SentinelStand) -> Iterator[float]:
    moment = time.monotonic()
    stand.fail_over(coordinated=True)
    yield moment
    stand.await_ready(_READY)


@contextmanager
def _sentinel_killed(stand: SentinelStand, chance: random.Random) -> Iterator[float]:
    sentinel, moment = chance.choice(stand.sentinels), time.monotonic()
    sentinel.kill()
    yield moment
    sentinel.start()
    stand.await_ready(_READY)


@contextmanager
def _standby_promoted(stand: PostgresStand) -> Iterator[float]:
    moment = time.monotonic()
    stand.primary.kill()
    time.sleep(_DETECTED)
    stand.promote()
    yield moment
    stand.rejoin()


@contextmanager
def _node_killed(stand: ClusterStand, chance: random.Random) -> Iterator[float]:
    """Kill the master of one of the streams."""
    node = stand.master_of(_stream(stand, chance))
    os.kill(node.pid, signal.SIGKILL)
    moment = time.monotonic()
    node.kill()
    yield moment
    stand.restart(node)
    stand.await_ready(_READY)


@contextmanager
def _slot_moved(stand: ClusterStand, chance: random.Random) -> Iterator[float]:
    """Move the slot of one of the streams to another master."""
    stream = _stream(stand, chance)
    targets = [node for node in stand.masters if node is not stand.master_of(stream)]
    moment = time.monotonic()
    stand.move_slot(stand.slot_of(stream), chance.choice(targets))
    yield moment


@contextmanager
def _planned_takeover(stand: ClusterStand, chance: random.Random) -> Iterator[float]:
    moment = time.monotonic()
    stand.fail_over(_stream(stand, chance))
    yield moment
    stand.await_ready(_READY)


@contextmanager
def _broker_killed(stand: RabbitStand, front: Proxy) -> Iterator[float]:
    """Kill the node to which the front forwards; then it forwards to the next one."""
    index = next(i for i, n in enumerate(stand.nodes) if front.server == ("127.0.0.1", n.port))
    node, other = stand.nodes[index], stand.nodes[(index + 1) % len(stand.nodes)]
    moment = time.monotonic()
    node.kill()
    time.sleep(_DETECTED)
    front.server = ("127.0.0.1", other.port)
    yield moment
    stand.restart(node)


def _stream(stand: ClusterStand, chance: random.Random) -> str:
    """Return the name of one of the streams that exist."""
    masters = stand.masters
    names = {name for node in masters for name in _streams(node)}
    return chance.choice(sorted(names))


def _streams(node: ClusterServer) -> list[str]:
    with node.client(decode_responses=True) as client:
        return list(client.scan_iter(match="waybill:inbox*", _type="stream"))
