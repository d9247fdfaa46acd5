"""Web and worker agree on every task and queue, and a dead broker holds nobody up."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
import yaml
from celery import Celery
from redis import Redis

from demo.servers import free_port, redis_server
from service.coordination.circuit_breaker import CircuitBreaker
from service.task_queue import queue
from service.task_queue.queue import ROUTES, Queue
from service.task_queue.transport import MOST_WAITING
from tests.conftest import make_settings
from tests.messages import assert_soon

ROOT = Path(__file__).parents[3]
QUEUES = {queue.SEND, queue.STATUS, queue.MAINTENANCE}
MESSAGE = UUID("0198d1c5-0000-7000-8000-000000000001")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def live(redis: Redis, redis_url: str) -> Queue:
    return Queue(make_settings("sqlite:///unused.db", redis_url), redis, CircuitBreaker())


@pytest.fixture
def dead() -> Iterator[Queue]:
    url = f"redis://127.0.0.1:{free_port()}/0"
    with Redis.from_url(url, socket_connect_timeout=0.25) as redis:
        yield Queue(make_settings("sqlite:///unused.db", url), redis, CircuitBreaker())


def enqueued(redis: Redis, name: str) -> list[tuple[dict[str, Any], list[Any]]]:
    """Return envelope and arguments of every task on a queue, oldest first."""
    envelopes: list[dict[str, Any]] = [json.loads(raw) for raw in redis.lrange(name, 0, -1)[::-1]]
    return [(one, json.loads(base64.b64decode(one["body"]))[0]) for one in envelopes]


def read_queues(text: str) -> set[str]:
    """Return the queues that the worker commands in a text read, as in `-Q send,status`."""
    commands = re.findall(r"worker\b[^`]*?(?:-Q|--queues)[ =]([a-z,]+)", text)
    return {name for names in commands for name in names.split(",")}


def test_a_unix_socket_serves_the_inbox_and_the_broker_alike(directory: Path) -> None:
    with redis_server(directory / "local") as server:
        url = server.local_url.replace("db=0", "db=3")
        with Redis.from_url(url) as redis:
            assert Queue(
                make_settings("sqlite:///unused.db", url), redis, CircuitBreaker()
            ).enqueue(queue.DRAIN)
            [(task, _)] = enqueued(redis, queue.STATUS)

    assert task["headers"]["task"] == queue.DRAIN


def test_every_task_that_may_be_enqueued_is_registered_and_the_other_way_round() -> None:
    celery = Celery("worker", set_as_current=False, include=["worker.tasks"])
    celery.loader.import_default_modules()
    celery.finalize()

    assert {name for name in celery.tasks if not name.startswith("celery.")} == set(ROUTES)


def test_there_are_three_queues() -> None:
    """A flood of sends must delay neither a status nor the sweep that mends things."""
    assert set(ROUTES.values()) == QUEUES
    assert ROUTES[queue.DELIVER] == queue.SEND
    assert ROUTES[queue.DRAIN] == queue.STATUS


def test_every_queue_is_read_by_a_worker_of_docker_compose() -> None:
    path = ROOT / "docker-compose.yml"
    assert path.exists(), "there is no docker-compose.yml; its workers must read every queue"
    services = yaml.safe_load(path.read_text())["services"].values()
    commands = [service.get("command", "") for service in services]
    lines = [line if isinstance(line, str) else " ".join(line) for line in commands]

    assert read_queues("\n`\n".join(lines)) == QUEUES


def test_every_queue_is_read_by_a_worker_of_the_readme() -> None:
    path = ROOT / "README.md"
    assert path.exists(), "there is no README.md; its worker commands must read every queue"

    assert read_queues(path.read_text()) >= QUEUES


@pytest.mark.parametrize(("task", "name"), ROUTES.items())
def test_a_task_goes_to_its_queue_as_json(live: Queue, redis: Redis, task: str, name: str) -> None:
    assert live.enqueue(task, "a", "b") is True

    [(envelope, args)] = enqueued(redis, name)
    assert envelope["headers"]["task"] == task
    assert envelope["content-type"] == "application/json"
    assert args == ["a", "b"]


def test_of_many_who_ask_one_wakes_a_worker(live: Queue, redis: Redis) -> None:
    assert [live.wake(queue.DRAIN) for _ in range(3)] == [True, True, True]
    assert len(enqueued(redis, queue.STATUS)) == 1


def test_who_asks_after_the_task_fell_asleep_wakes_another(live: Queue, redis: Redis) -> None:
    live.wake(queue.DRAIN)
    live.sleep(queue.DRAIN)
    live.wake(queue.DRAIN)
    assert len(enqueued(redis, queue.STATUS)) == 2


def test_while_a_task_is_at_work_nobody_wakes_another(live: Queue, redis: Redis) -> None:
    live.keep_awake(queue.DRAIN)
    live.wake(queue.DRAIN)
    live.wake(queue.DELIVER)
    assert enqueued(redis, queue.STATUS) == []
    assert len(enqueued(redis, queue.SEND)) == 1, "another task sleeps for itself"


def test_a_wake_that_never_came_is_asked_for_again_within_seconds(
    live: Queue, redis: Redis
) -> None:
    live.wake(queue.DRAIN)
    assert 0 < redis.pttl(f"waybill:wake:{queue.DRAIN}") <= 5_000


def test_a_ring_wakes_a_worker_soon(live: Queue, redis: Redis) -> None:
    live.ring(queue.DELIVER)
    assert_soon(lambda: bool(redis.llen(queue.SEND)))


def test_help_is_called_once_for_many(live: Queue, redis: Redis, redis_url: str) -> None:
    other_process = Queue(make_settings("sqlite:///unused.db", redis_url), redis, CircuitBreaker())
    for one in (live, live, other_process):
        one.call_help(queue.DRAIN)
    [(_, args)] = enqueued(redis, queue.STATUS)
    assert args == [queue.HELPING]


def test_help_is_called_again_while_a_backlog_lasts(
    live: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_HELP_MS", 1)

    def called_twice() -> bool:
        live.call_help(queue.DRAIN)
        return redis.llen(queue.STATUS) == 2

    assert_soon(called_twice)


def test_queue_that_no_worker_reads_is_bounded(live: Queue, redis: Redis) -> None:
    """The newest stay: a worker that comes back finds every kind of task among them."""
    task = b"x" * 100
    redis.lpush(queue.SEND, *[task] * 5000)

    assert live.enqueue(queue.DELIVER)
    assert redis.llen(queue.SEND) == MOST_WAITING
    [newest] = [json.loads(raw) for raw in redis.lrange(queue.SEND, 0, 0)]
    assert newest["headers"]["task"] == queue.DELIVER


def test_wakes_go_on_after_redis_was_demoted(live: Queue, redis: Redis) -> None:
    """The connection to an old master that became a replica is closed, and not kept for ever."""
    live.enqueue(queue.DRAIN)
    pushing = [client for client in redis.client_list() if client["cmd"] == "lpush"]
    used = {client["id"] for client in pushing if client["idle"] == "0"}
    redis.replicaof("127.0.0.1", "1")
    assert not live.enqueue(queue.DRAIN)
    redis.replicaof("NO", "ONE")
    assert_soon(lambda: live.enqueue(queue.DRAIN))

    assert used
    assert not used & {client["id"] for client in redis.client_list()}


def test_no_task_carries_a_time_at_which_to_run(live: Queue, redis: Redis) -> None:
    """A task that waits longer than the visibility timeout would be run again and again."""
    live.enqueue(queue.DRAIN)

    [(envelope, _)] = enqueued(redis, queue.STATUS)
    assert envelope["headers"]["eta"] is None


def test_a_dead_broker_is_reported_within_two_seconds_and_never_raised(
    dead: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    begun = monotonic()

    assert dead.enqueue(queue.DRAIN) is False
    assert monotonic() - begun < 2
    assert "not enqueued: waybill.drain" in caplog.text


def test_a_dead_broker_stays_quick_to_be_reported(dead: Queue) -> None:
    begun = monotonic()

    assert [dead.wake(queue.DELIVER) for _ in range(10)] == [False] * 10
    for _ in range(10):
        dead.keep_awake(queue.DRAIN)
        dead.call_help(queue.DRAIN)
        dead.sleep(queue.DRAIN)
    assert monotonic() - begun < 5


def test_a_broker_that_cut_the_connection_is_used_again(live: Queue, redis: Redis) -> None:
    assert live.enqueue(queue.DRAIN)
    redis.client_kill_filter(_type="normal", skipme=True)

    outcomes = [live.enqueue(queue.DRAIN) for _ in range(3)]

    assert outcomes[-1] is True
    assert len(enqueued(redis, queue.STATUS)) == 1 + sum(outcomes)
