"""Workers and beat continue after Redis is restarted, frozen or demoted."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import requests
from celery import Celery
from redis import Redis

from demo.servers import RedisServer, free_port, redis_server
from service.app import create_app
from service.coordination.sender_rate_limit import SendRequest
from service.inbox.inbox import Inbox
from service.redis_client.fast_client import FastClient
from service.task_queue import queue
from tests.conftest import make_settings
from tests.service.coordination.test_circuit_breaker import CALLBACK
from tests.worker.test_app import ENVIRONMENT, ROOT

# The worker with two more tasks and shorter timeouts: a freeze must last longer than those.
MODULE = """
import os, time
from worker.app import app
from service.task_queue import transport
from worker import liveness
transport.MAX_QUEUE_LENGTH, liveness._TASK_START_TIMEOUT, liveness._MAIN_LOOP_TIMEOUT = 5, 3.0, 10.0
app.conf.broker_transport_options["socket_timeout"] = 1.0
app.conf.task_routes = {**app.conf.task_routes, "probe.*": {"queue": "send"}}

def note(line):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(line + "\\n")

@app.task(name="probe.quick")
def quick(name):
    note(name)

@app.task(name="probe.slow")
def slow(name, seconds):
    note("began " + name)
    time.sleep(seconds)
    note("ended " + name)
"""
OPERATIONS = ROOT / "docs" / "operations.md"


class Bench:
    """A Redis, a worker or beat, and the notes that its tasks write."""

    def __init__(self, redis: RedisServer, directory: Path) -> None:
        self.redis = redis
        self.url = redis.url
        self.port = free_port()
        self.directory = directory
        self.notes = directory / "notes"
        self.notes.touch()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = iter(range(10_000))
        (directory / "probed.py").write_text(MODULE)

    def start(self, *arguments: str) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / "celery"), "-A", "probed", *arguments],
                cwd=self.directory,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **ENVIRONMENT,
            "DATABASE_URL": f"sqlite:///{self.directory}/w.db",
            "REDIS_URL": self.url,
            "PYTHONPATH": f"{self.directory}:{ROOT}",
            "NOTES": str(self.notes),
            "METRICS_PORT": str(self.port),
            "WORKER_CONCURRENCY": "2",
        }

    def migrate(self) -> None:
        command = [
            str(Path(sys.executable).parent / "flask"),
            "--app",
            "service.app",
            "db",
            "upgrade",
        ]
        subprocess.run(command, cwd=ROOT, env=self._environment(), check=True, capture_output=True)

    def send(self, task: str, *arguments: object, to: str = "send") -> None:
        """Enqueue a task over a plain connection of Celery."""
        with Celery("sender", broker=self.redis.url, set_as_current=False) as celery:
            celery.send_task(task, arguments, queue=to)

    def probe(self, seconds: float = 15) -> float:
        """Enqueue tasks until one ends; return the seconds that it took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            name = f"probe {next(self._numbers)}"
            self.send("probe.quick", name)
            if wait_for(partial(self.has_noted, name), 2, fails=False):
                return time.monotonic() - began
        assert self._process is not None
        state = f"status {self._process.poll()}"
        raise AssertionError(f"no task ended in {seconds} s ({state}):\n{self.log()}")

    def has_noted(self, beginning: str) -> bool:
        return any(line.startswith(beginning) for line in self.noted())

    def ticks_wait(self) -> bool:
        with Redis.from_url(self.redis.url) as redis:
            return bool(redis.llen("send"))

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines()

    def log(self) -> str:
        return "\n".join((self.directory / "log").read_text().splitlines()[-30:])

    def health(self) -> tuple[int, str]:
        answer = requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5)
        return answer.status_code, answer.text

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def wait_for(condition: Callable[[], bool], seconds: float, *, fails: bool = True) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    assert not fails, f"not true after {seconds} s"
    return False


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with redis_server(tmp_path / "redis") as redis:
        bench = Bench(redis, tmp_path)
        yield bench
        redis.thaw()
        bench.stop()


@pytest.fixture
def worker(bench: Bench) -> Bench:
    bench.start("worker", "-Q", "send", "-n", "send@%h")
    bench.probe(60)
    return bench


@pytest.mark.slow
def test_worker_continues_after_redis_restarts(worker: Bench) -> None:
    """Tasks run at each kill; without our connection that ended four of five workers."""
    for pause in (0.1, 1.0, 6.0, 0.1, 2.0):
        for number in range(2):
            worker.send("probe.slow", f"slow {pause} {number}", 0.5 + number)
        wait_for(lambda: worker.noted()[-1].startswith("began"), 15)
        worker.redis.kill()
        time.sleep(pause)
        worker.redis.start()
        assert worker.probe() < 15
    time.sleep(12)  # longer than the timeout of the main loop
    assert worker.health() == (200, "alive\n")


@pytest.mark.slow
def test_worker_keeps_its_slots_after_redis_freezes(worker: Bench) -> None:
    """More tasks than slots end while Redis is frozen, and their acknowledgements fail."""
    for freeze in range(3):
        for number in range(2):
            worker.send("probe.slow", f"slow {freeze} {number}", 0.5)
        wait_for(partial(worker.has_noted, f"began slow {freeze}"), 15)
        worker.redis.freeze()
        time.sleep(4.0)
        worker.redis.thaw()
        worker.probe(30)


@pytest.mark.slow
def test_worker_continues_after_redis_is_demoted(worker: Bench) -> None:
    with Redis.from_url(worker.redis.url) as redis:
        redis.replicaof("127.0.0.1", "1")
        time.sleep(3)
        redis.replicaof("NO", "ONE")

    assert worker.probe() < 15


@pytest.mark.slow
def test_beat_continues_after_redis_restarts(bench: Bench) -> None:
    bench.start("beat")
    wait_for(bench.ticks_wait, 60)
    for pause in (0.1, 6.0):
        bench.redis.kill()
        bench.redis.delete_data()
        time.sleep(pause)
        bench.redis.start()
        wait_for(bench.ticks_wait, 15)


@pytest.mark.slow
def test_worker_and_beat_wait_for_redis_to_start(bench: Bench) -> None:
    bench.redis.kill()
    bench.start("worker", "-B", "-Q", "send", "-n", "send@%h")
    time.sleep(20)
    bench.redis.start()

    assert bench.probe() < 15


@pytest.mark.slow
def test_worker_that_starts_no_task_is_unhealthy(worker: Bench) -> None:
    wait_for(lambda: worker.health() == (200, "alive\n"), 30)
    with Celery("control", broker=worker.redis.url, set_as_current=False) as celery:
        celery.control.cancel_consumer("send", reply=True)
        worker.send("probe.quick", "waits")
        wait_for(lambda: worker.health()[0] == 503, 30)
        assert worker.health()[1] == "tasks wait, but no task has started for 3 s\n"
        celery.control.add_consumer("send", reply=True)

    wait_for(lambda: worker.health()[0] == 200, 30)
    assert worker.has_noted("waits")


@pytest.mark.slow
def test_scheduled_tasks_without_a_worker_do_not_pile_up(bench: Bench) -> None:
    bench.start("beat")
    with Redis.from_url(bench.redis.url) as redis:
        seen = set[bytes]()

        def ten_ticks_came() -> bool:
            seen.update(redis.lrange("send", 0, 0))
            assert redis.llen("send") <= 5
            return len(seen) > 10

        wait_for(ten_ticks_came, 60)


@pytest.mark.slow
def test_stopped_worker_removes_its_inbox_consumer(bench: Bench) -> None:
    bench.migrate()
    with Redis.from_url(bench.redis.url, protocol=2) as redis:
        Inbox(redis, FastClient(redis), 10).put(CALLBACK)
        bench.start("worker", "-Q", "status", "-n", "status@%h")
        bench.send(queue.CONSUME_INBOX, to="status")
        wait_for(lambda: redis.xlen("waybill:inbox") == 0, 60)
        assert len(redis.xinfo_consumers("waybill:inbox", "recorders")) == 1
        bench.stop()

        assert redis.xinfo_consumers("waybill:inbox", "recorders") == []


def documented_rights() -> list[str]:
    """Return the ACL rules in docs/operations.md."""
    [line] = re.findall(r"^ACL SETUSER waybill (.*)$", OPERATIONS.read_text(), re.MULTILINE)
    return [str(rule) for rule in line.replace(">PASSWORD", ">secret").split()]


@pytest.mark.slow
def test_documented_redis_rights_are_sufficient(bench: Bench) -> None:
    bench.migrate()
    bench.url = bench.redis.url.replace("redis://", "redis://waybill:secret@")
    with Redis.from_url(bench.redis.url, protocol=2) as redis:
        redis.execute_command("ACL", "SETUSER", "waybill", *documented_rights())
        limits = {"SENDER_RATES": "*:1", "RATE_LIMIT_POSTS": "5/second"}
        parts = create_app(
            make_settings(f"sqlite:///{bench.directory}/w.db", bench.url, **limits), providers={}
        ).extensions["waybill"]
        parts.inbox.put(CALLBACK)
        parts.inbox.ping()
        parts.cache.put({"page": 1}, seconds=60)
        parts.sender_rates.delays([SendRequest("twilio:default", "+1", "line", 1, False)])
        bench.start("worker", "-B", "-Q", "send,status,maintenance", "-n", "all@%h")
        wait_for(lambda: redis.xlen("waybill:inbox") == 0, 60)
        bench.probe(30)
        parts.heartbeats.send("web", "web@a", [])
        assert parts.cache.read(["page"]) == [1]
        assert {"web", "worker"} <= {replica.kind for replica in parts.heartbeats.alive()}
        bench.stop()

        denied = {entry["object"] for entry in redis.execute_command("ACL LOG")}
        assert denied <= {"client"}, "naming a connection is optional"
