"""Workers and beat continue by themselves after their broker was lost: Sentinel and RabbitMQ.

BROKER_ROUNDS=20 repeats each loss 20 times.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from demo.servers import redis_server
from service.coordination.circuit_breaker import CircuitBreaker
from service.redis_client.connections import connect
from service.redis_client.url import parse_redis_url
from service.task_queue import queue
from service.task_queue.queue import BrokerUnavailable, TaskQueue
from tests.cluster.balancer import balancer_of
from tests.cluster.rabbitmq import RabbitStand, rabbitmq
from tests.cluster.sentinel import SentinelStand, sentinel_stand
from tests.conftest import make_settings
from tests.messages import assert_soon
from tests.worker.test_broker_connection import Bench, wait_for

ROUNDS: Final = int(os.environ.get("BROKER_ROUNDS", "1"))
# Seconds. A worker makes its next attempt within 4 s, but a busy machine starts it in a minute.
SOON: Final = 180.0

_log = logging.getLogger(__name__)

pytestmark = pytest.mark.cluster


def benched(directory: Path, broker: str) -> Iterator[Bench]:
    with redis_server(directory / "redis") as redis:
        bench = Bench(redis, directory, broker)
        yield bench
        bench.stop()


def start_worker(bench: Bench) -> None:
    bench.start("worker", "-Q", "send", "-n", "send@%h")
    bench.probe(SOON)


def lose(bench: Bench, event: Callable[[], object], name: str) -> None:
    """Let something happen while two tasks run, and wait until tasks run again."""
    for number in range(2):
        bench.send("probe.slow", f"{name} {number}", 0.5 + number)
    wait_for(partial(bench.has_noted, f"began {name}"), SOON)
    began = time.monotonic()
    event()
    lost = time.monotonic() - began
    _log.info("%s: tasks ran %.1f s after %.1f s of loss", name, bench.probe(SOON), lost)


def task_queue(bench: Bench, broker: str) -> TaskQueue:
    """Return the queue of a web process."""
    redis = connect(parse_redis_url(bench.redis.url), 1.0)
    settings = make_settings("sqlite:///unused.db", bench.redis.url, BROKER_URL=broker)
    return TaskQueue(settings, redis, CircuitBreaker())


# Sentinel


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelStand]:
    with sentinel_stand(tmp_path_factory.mktemp("sentinel") / "stand") as stand:
        yield stand


@pytest.fixture
def behind_sentinels(sentinels: SentinelStand, tmp_path: Path) -> Iterator[Bench]:
    yield from benched(tmp_path, sentinels.url)


def test_worker_continues_after_sentinel_replaces_the_master(
    sentinels: SentinelStand, behind_sentinels: Bench
) -> None:
    start_worker(behind_sentinels)
    for number in range(ROUNDS):
        sentinels.await_ready()
        old = sentinels.master
        lose(behind_sentinels, old.kill, f"killed {number}")
        sentinels.restart(old)
        sentinels.await_ready()
        old = sentinels.master
        lose(behind_sentinels, old.freeze, f"frozen {number}")
        old.thaw()
        sentinels.await_ready()
        lose(behind_sentinels, sentinels.fail_over, f"planned {number}")


def test_tasks_are_enqueued_and_counted_after_a_failover(
    sentinels: SentinelStand, behind_sentinels: Bench
) -> None:
    tasks = task_queue(behind_sentinels, sentinels.url)
    sentinels.await_ready()
    assert tasks.enqueue(queue.DELIVER)
    old = sentinels.master
    old.kill()
    sentinels.await_failover(old)
    assert_soon(lambda: tasks.enqueue(queue.DELIVER))
    assert tasks.waiting(queue.SEND)[0] >= 1
    sentinels.restart(old)


# RabbitMQ


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitStand]:
    with rabbitmq(tmp_path_factory.mktemp("rabbit") / "one") as stand:
        yield stand


@pytest.fixture
def behind_rabbit(rabbit: RabbitStand, tmp_path: Path) -> Iterator[Bench]:
    yield from benched(tmp_path, rabbit.url)


def test_worker_continues_after_rabbitmq_is_killed_and_freezes(
    rabbit: RabbitStand, behind_rabbit: Bench
) -> None:
    start_worker(behind_rabbit)
    for number in range(ROUNDS):
        lose(behind_rabbit, partial(restart, rabbit), f"killed {number}")
        # Longer than the worker waits for a heartbeat.
        lose(behind_rabbit, partial(freeze, rabbit, 25), f"frozen {number}")


def test_beat_continues_after_rabbitmq_is_killed_and_freezes(
    rabbit: RabbitStand, behind_rabbit: Bench
) -> None:
    tasks = task_queue(behind_rabbit, rabbit.url)
    behind_rabbit.start("beat")
    assert_ticks(tasks)
    restart(rabbit)
    assert_ticks(tasks)
    freeze(rabbit, 12)
    assert_ticks(tasks)


def restart(rabbit: RabbitStand) -> None:
    [node] = rabbit.nodes
    node.kill()
    rabbit.restart(node)


def freeze(rabbit: RabbitStand, seconds: float) -> None:
    [node] = rabbit.nodes
    node.freeze()
    time.sleep(seconds)
    node.thaw()


def assert_ticks(tasks: TaskQueue) -> None:
    """Wait until beat has enqueued twice what it enqueues each second."""
    begin = waiting(tasks)
    wait_for(lambda: waiting(tasks) >= begin + 2, SOON)


def waiting(tasks: TaskQueue) -> int:
    """Return the number of waiting tasks; 0 while the broker is down."""
    with suppress(BrokerUnavailable):
        return tasks.waiting(queue.SEND)[0]
    return 0


def test_queues_are_replicated_and_bounded(rabbit: RabbitStand, behind_rabbit: Bench) -> None:
    """The worker declares no other queue that outlives it."""
    start_worker(behind_rabbit)
    words = ("list_queues", "--no-table-headers", "name", "type", "arguments")
    lines = [line.split("\t") for line in rabbit.nodes[0].control(*words).splitlines()]
    lasting = {name: (kind, rest) for name, kind, rest in lines if "@" not in name}

    assert lasting[queue.SEND][0] == "quorum"
    assert '{"x-max-length",1000}' in lasting[queue.SEND][1]
    assert set(lasting) <= {*queue.ROUTES.values()} | {
        name for name in lasting if name.startswith("celeryev.")
    }


def test_web_process_waits_briefly_for_a_frozen_rabbitmq(
    rabbit: RabbitStand, behind_rabbit: Bench
) -> None:
    """The library would wait for an answer without end."""
    [node] = rabbit.nodes
    tasks = task_queue(behind_rabbit, rabbit.url)
    assert tasks.enqueue(queue.DELIVER)
    assert tasks.waiting(queue.SEND)[0] >= 1
    node.freeze()
    try:
        began = time.monotonic()
        assert not tasks.enqueue(queue.DELIVER)
        time.sleep(1.1)  # the circuit breaker lets the next call through
        with pytest.raises(BrokerUnavailable):
            tasks.waiting(queue.SEND)
        assert time.monotonic() - began < 20
    finally:
        node.thaw()
    assert_soon(lambda: tasks.enqueue(queue.DELIVER))


def test_missing_queue_has_no_tasks(rabbit: RabbitStand, behind_rabbit: Bench) -> None:
    tasks = task_queue(behind_rabbit, rabbit.url)
    assert tasks.waiting("never-declared") == (0, None)
    assert tasks.enqueue(queue.NOTIFY), "the connection serves further requests"


# Three nodes


@pytest.fixture(scope="module")
def rabbits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitStand]:
    with rabbitmq(tmp_path_factory.mktemp("rabbits") / "three", nodes=3) as stand:
        yield stand


@pytest.fixture
def behind_balancer(rabbits: RabbitStand, tmp_path: Path) -> Iterator[Bench]:
    with balancer_of([node.port for node in rabbits.nodes]) as url:
        yield from benched(tmp_path, url)


@pytest.mark.slow  # three nodes take minutes to start on a busy machine
def test_worker_continues_on_another_node_of_rabbitmq(
    rabbits: RabbitStand, behind_balancer: Bench
) -> None:
    """The balancer prefers the first node, so that it is the one in use."""
    start_worker(behind_balancer)
    first = rabbits.nodes[0]
    for number in range(ROUNDS):
        lose(behind_balancer, first.kill, f"killed {number}")
        rabbits.restart(first)
        # The next loss is that of the first node only if the worker uses it again.
        behind_balancer.stop()
        start_worker(behind_balancer)
