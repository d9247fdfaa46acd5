"""What can happen to the servers: each causes a failure and repairs it in the end.

Each yields the moment of the failure on the monotonic clock.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.chaos.failovers.link import slow_links
from tests.cluster.postgres import PostgresStand
from tests.cluster.rabbitmq import RabbitStand
from tests.cluster.redis_cluster import ClusterServer, ClusterStand
from tests.cluster.sentinel import SentinelStand
from tests.cluster.servers import ValkeyServer
from tests.proxy import Proxy

_READY: Final = 60.0
_FROZEN: Final = 8.0  # longer than a failover takes, so that the frozen master returns as one
_DETECTED: Final = 1.0  # seconds until an operator or a health check acts


@contextmanager
def master_killed(stand: SentinelStand) -> Iterator[float]:
    """Lose the machine of the master together with what it has sent in the last milliseconds."""
    master = stand.master
    with slow_links(master, stand.replicas) as cut:
        cut()
        yield _kill(master)
    stand.restart(master)
    stand.await_ready(_READY)


@contextmanager
def master_frozen(stand: SentinelStand) -> Iterator[float]:
    """Freeze the master until another server is master; then both are, until Sentinel sees it."""
    master, moment = stand.master, time.monotonic()
    master.freeze()
    time.sleep(_FROZEN)
    master.thaw()
    yield moment
    stand.await_ready(_READY)


@contextmanager
def planned_failover(stand: SentinelStand) -> Iterator[float]:
    moment = time.monotonic()
    stand.fail_over(coordinated=True)
    yield moment
    stand.await_ready(_READY)


@contextmanager
def sentinel_killed(stand: SentinelStand, chance: random.Random) -> Iterator[float]:
    sentinel, moment = chance.choice(stand.sentinels), time.monotonic()
    sentinel.kill()
    yield moment
    sentinel.start()
    stand.await_ready(_READY)


@contextmanager
def standby_promoted(stand: PostgresStand) -> Iterator[float]:
    moment = time.monotonic()
    stand.primary.kill()
    time.sleep(_DETECTED)
    stand.promote()
    yield moment
    stand.rejoin()


@contextmanager
def node_killed(stand: ClusterStand, chance: random.Random) -> Iterator[float]:
    """Kill the master of one of the streams."""
    node = stand.master_of(_stream(stand, chance))
    yield _kill(node)
    stand.restart(node)
    stand.await_ready(_READY)


@contextmanager
def slot_moved(stand: ClusterStand, chance: random.Random) -> Iterator[float]:
    """Move the slot of one of the streams to another master."""
    stream = _stream(stand, chance)
    targets = [node for node in stand.masters if node is not stand.master_of(stream)]
    moment = time.monotonic()
    stand.move_slot(stand.slot_of(stream), chance.choice(targets))
    yield moment


@contextmanager
def planned_takeover(stand: ClusterStand, chance: random.Random) -> Iterator[float]:
    moment = time.monotonic()
    stand.fail_over(_stream(stand, chance))
    yield moment
    stand.await_ready(_READY)


@contextmanager
def broker_killed(stand: RabbitStand, front: Proxy) -> Iterator[float]:
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


def _kill(server: ValkeyServer) -> float:
    """Kill a server; return when."""
    # Not only kill(), which looks for children first: it would acknowledge more meanwhile.
    os.kill(server.pid, signal.SIGKILL)
    moment = time.monotonic()
    server.kill()
    return moment
