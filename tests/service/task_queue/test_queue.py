"""Web and worker use the same tasks and queues; a dead broker delays no caller."""

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
from service.task_queue.queue import ROUTES, BrokerUnavailable, TaskQueue
from service.task_queue.transport import MAX_QUEUE_LENGTH
from tests.conftest import make_settings
from tests.messages import assert_soon

ROOT = Path(__file__).parents[3]
QUEUES = {queue.SEND, queue.STATUS, queue.MAINTENANCE, queue.WEBHOOKS}
MESSAGE = UUID("0198d1c5-0000-7000-8000-000000000001")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def live(redis: Redis, redis_url: str) -> TaskQueue:
    return TaskQueue(make_settings("sqlite:///unused.db", redis_url), redis, CircuitBreaker())


@pytest.fixture
def dead() -> Iterator[TaskQueue]:
    url = f"redis://127.0.0.1:{free_port()}/0"
    with Redis.from_url(url, socket_connect_timeout=0.25) as redis:
        yield TaskQueue(make_settings("sqlite:///unused.db", url), redis, CircuitBreaker())


def enqueued(redis: Redis, name: str) -> list[tuple[dict[str, Any], list[Any]]]:
    """Return envelope and arguments of every task on a queue, oldest first."""
    envelopes: list[dict[str, Any]] = [json.loads(raw) for raw in redis.lrange(name, 0, -1)[::-1]]
    return [(task, json.loads(base64.b64decode(task["body"]))[0]) for task in envelopes]


def read_queues(text: str) -> set[str]:
    """Return the queues that the worker commands in a text read, as in `-Q send,status`."""
    commands = re.findall(r"worker\b[^`]*?(?:-Q|--queues)[ =]([a-z,]+)", text)
    return {name for names in commands for name in names.split(",")}


def test_unix_socket_serves_as_broker(directory: Path) -> None:
    with redis_server(directory / "local") as server:
        url = server.local_url.replace("db=0", "db=3")
        with Redis.from_url(url) as redis:
            assert TaskQueue(
                make_settings("sqlite:///unused.db", url), redis, CircuitBreaker()
            ).enqueue(queue.CONSUME_INBOX)
            [(task, _)] = enqueued(redis, queue.STATUS)

    assert task["headers"]["task"] == queue.CONSUME_INBOX


def test_routed_and_registered_tasks_are_the_same() -> None:
    celery = Celery("worker", set_as_current=False, include=["worker.tasks"])
    celery.loader.import_default_modules()
    celery.finalize()

    assert {name for name in celery.tasks if not name.startswith("celery.")} == set(ROUTES)


def test_tasks_use_four_queues() -> None:
    """Many sends or webhooks delay neither statuses nor maintenance."""
    assert set(ROUTES.values()) == QUEUES
    assert ROUTES[queue.DELIVER] == queue.SEND
    assert ROUTES[queue.CONSUME_INBOX] == queue.STATUS


def test_compose_workers_read_every_queue() -> None:
    path = ROOT / "docker-compose.yml"
    assert path.exists(), "there is no docker-compose.yml; its workers must read every queue"
    services = yaml.safe_load(path.read_text())["services"].values()
    commands = [service.get("command", "") for service in services]
    lines = [line if isinstance(line, str) else " ".join(line) for line in commands]

    assert read_queues("\n`\n".join(lines)) == QUEUES


def test_readme_workers_read_every_queue() -> None:
    path = ROOT / "README.md"
    assert path.exists(), "there is no README.md; its worker commands must read every queue"

    assert read_queues(path.read_text()) >= QUEUES


@pytest.mark.parametrize(("task", "name"), ROUTES.items())
def test_task_is_enqueued_on_its_queue_as_json(
    live: TaskQueue, redis: Redis, task: str, name: str
) -> None:
    assert live.enqueue(task) is True

    [(envelope, args)] = enqueued(redis, name)
    assert envelope["headers"]["task"] == task
    assert envelope["content-type"] == "application/json"
    assert args == []


@pytest.fixture
def broker(redis_url: str) -> Iterator[Redis]:
    """Another database than that of REDIS_URL."""
    with Redis.from_url(f"{redis_url.rpartition('/')[0]}/1") as broker:
        broker.flushdb()
        yield broker


def apart(redis: Redis, redis_url: str) -> TaskQueue:
    url = f"{redis_url.rpartition('/')[0]}/1"
    settings = make_settings("sqlite:///unused.db", redis_url, BROKER_URL=url)
    return TaskQueue(settings, redis, CircuitBreaker())


def test_tasks_wait_at_the_broker_and_flags_in_redis(
    redis: Redis, broker: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "INTERVAL", 60.0)
    tasks = apart(redis, redis_url)
    assert tasks._wake(queue.DELIVER)

    assert tasks.waiting(queue.SEND)[0] == broker.llen(queue.SEND) == 1
    assert redis.llen(queue.SEND) == 0
    assert redis.exists(f"waybill:requested:{queue.DELIVER}")


def test_tasks_are_requested_while_only_redis_is_down(broker: Redis, redis_url: str) -> None:
    with Redis(port=free_port(), socket_connect_timeout=0.25) as down:
        assert apart(down, redis_url)._wake(queue.DELIVER)

    assert broker.llen(queue.SEND) == 1


def test_waiting_tasks_of_a_dead_broker_are_unknown(dead: TaskQueue) -> None:
    for _ in range(2):  # the second finds the circuit open
        with pytest.raises(BrokerUnavailable):
            dead.waiting(queue.SEND)


def test_request_enqueues_the_task_soon(live: TaskQueue, redis: Redis) -> None:
    live.request(queue.DELIVER)
    assert_soon(lambda: bool(redis.llen(queue.SEND)))


def test_requests_of_several_processes_enqueue_one_task(
    live: TaskQueue, redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "INTERVAL", 60.0)  # longer than a busy machine takes for three
    settings = make_settings("sqlite:///unused.db", redis_url)
    other_process = TaskQueue(settings, redis, CircuitBreaker())
    outcomes = [caller._wake(queue.CONSUME_INBOX) for caller in (live, live, other_process)]
    assert outcomes == [True, False, False], "the others try again"
    assert len(enqueued(redis, queue.STATUS)) == 1
    assert live._wake(queue.DELIVER), "each task by itself"


def test_each_request_is_followed_by_a_task(live: TaskQueue, redis: Redis, redis_url: str) -> None:
    """Also when another process enqueued one a moment before: it may have run its last query."""
    assert live._wake(queue.CONSUME_INBOX)
    live.request(queue.CONSUME_INBOX)
    assert_soon(lambda: redis.llen(queue.STATUS) == 2)


def test_run_out_of_time_requests_the_next(
    live: TaskQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_RUN_SECONDS", 0.0)
    live.run_once(queue.DELIVER, lambda: True)
    assert_soon(lambda: bool(redis.llen(queue.SEND)))


def test_queue_that_no_worker_reads_is_bounded(live: TaskQueue, redis: Redis) -> None:
    """The newest stay: a worker that comes back finds every kind of task among them."""
    task = b"x" * 100
    redis.lpush(queue.SEND, *[task] * 5000)

    assert live.enqueue(queue.DELIVER)
    assert redis.llen(queue.SEND) == MAX_QUEUE_LENGTH
    [newest] = [json.loads(raw) for raw in redis.lrange(queue.SEND, 0, 0)]
    assert newest["headers"]["task"] == queue.DELIVER


def test_enqueuing_continues_after_redis_was_demoted(live: TaskQueue, redis: Redis) -> None:
    """The connection to an old master that became a replica is closed, and not kept for ever."""
    before = {client["id"]: client["tot-cmds"] for client in redis.client_list()}
    live.enqueue(queue.CONSUME_INBOX)
    pushing = [client for client in redis.client_list() if client["cmd"] == "lpush"]
    used = {each["id"] for each in pushing if each["tot-cmds"] != before.get(each["id"])}
    redis.replicaof("127.0.0.1", "1")
    assert not live.enqueue(queue.CONSUME_INBOX)
    redis.replicaof("NO", "ONE")
    assert_soon(lambda: live.enqueue(queue.CONSUME_INBOX))

    assert used
    assert not used & {client["id"] for client in redis.client_list()}


def test_tasks_have_no_eta(live: TaskQueue, redis: Redis) -> None:
    """A task that waits longer than the visibility timeout would be run again and again."""
    live.enqueue(queue.CONSUME_INBOX)

    [(envelope, _)] = enqueued(redis, queue.STATUS)
    assert envelope["headers"]["eta"] is None


def test_dead_broker_is_logged_within_two_seconds(
    dead: TaskQueue, caplog: pytest.LogCaptureFixture
) -> None:
    begun = monotonic()

    assert dead.enqueue(queue.CONSUME_INBOX) is False
    assert monotonic() - begun < 2
    assert "could not enqueue waybill.consume_inbox" in caplog.text


def test_dead_broker_does_not_slow_repeated_wake_ups(dead: TaskQueue) -> None:
    begun = monotonic()
    assert [dead._wake(queue.DELIVER) for _ in range(10)] == [True] * 10, "beat enqueues it"
    assert monotonic() - begun < 5


def test_broker_is_used_again_after_it_cut_the_connection(live: TaskQueue, redis: Redis) -> None:
    assert live.enqueue(queue.CONSUME_INBOX)
    redis.client_kill_filter(_type="normal", skipme=True)

    outcomes = [live.enqueue(queue.CONSUME_INBOX) for _ in range(3)]

    assert outcomes[-1] is True
    assert len(enqueued(redis, queue.STATUS)) == 1 + sum(outcomes)
