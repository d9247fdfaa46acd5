"""Monitoring of workers and beat: /metrics, /healthz and the metrics of tasks."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from celery import Celery
from flask import Flask

from demo.servers import free_port
from demo.stack import Stack, running
from service.app import create_app
from service.database import db
from tests.conftest import make_settings
from tests.counted import counting
from tests.worker.test_app import ENVIRONMENT, celery

assert celery  # a fixture
TASKS = "waybill_task_duration_seconds_count"


@pytest.fixture
def monitored(
    app: Flask, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, str]]:
    """The module `worker.monitoring` and the URL of its server."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from worker import monitoring

    port = free_port()
    settings = make_settings(
        database_url, redis_url, METRICS_PORT=str(port), METRICS_TOKEN="t" * 16
    )
    monitored_app = create_app(settings)
    server = monitoring.serve(monitored_app.extensions["waybill"])
    yield monitoring, f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
    with monitored_app.app_context():
        db.engine.dispose()


def test_healthz_answers_200_while_the_main_loop_runs(monitored: tuple[Any, str]) -> None:
    monitoring, url = monitored
    monitoring.LIVENESS.tick()

    assert requests.get(f"{url}/healthz", timeout=5).status_code == 200


def test_healthz_answers_503_when_the_main_loop_hangs(monitored: tuple[Any, str]) -> None:
    monitoring, url = monitored
    monitoring.LIVENESS._ticked_at = time.monotonic() - 91
    answer = requests.get(f"{url}/healthz", timeout=5)
    monitoring.LIVENESS.tick()

    assert (answer.status_code, answer.text) == (503, "the main loop has not run for 90 s\n")


def test_worker_metrics_need_the_token(monitored: tuple[Any, str]) -> None:
    _, url = monitored
    assert requests.get(f"{url}/metrics", timeout=5).status_code == 401

    answer = requests.get(
        f"{url}/metrics", headers={"Authorization": f"Bearer {'t' * 16}"}, timeout=5
    )
    assert answer.status_code == 200
    assert "waybill_sends_total" in answer.text
    assert "waybill_inbox_entries" not in answer.text, "only web servers read the stores"


def test_other_paths_are_not_found(monitored: tuple[Any, str]) -> None:
    assert requests.get(f"{monitored[1]}/v1/messages", timeout=5).status_code == 404


def test_taken_port_is_logged_and_ends_no_worker(
    monitored: tuple[Any, str], caplog: pytest.LogCaptureFixture, redis_url: str
) -> None:
    monitoring, url = monitored
    settings = make_settings("sqlite:///x.db", redis_url, METRICS_PORT=url.rpartition(":")[2])
    monitoring._serve_or_log(create_app(settings).extensions["waybill"])

    assert "Address already in use" in caplog.text


def test_metrics_port_is_off_by_default() -> None:
    assert make_settings("sqlite:///x.db", "redis://x").metrics_port == 0


# Started processes


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack; each worker and beat has a METRICS_PORT."""
    directory = tmp_path_factory.mktemp("monitored")
    ports = {name: str(free_port()) for name in ("worker-send", "worker-status", "beat")}
    with running(directory, simulator=("--pace", "0.1")) as stack:
        for name, port in ports.items():
            stack.stop(name)
            stack.environment = {**stack.environment, "METRICS_PORT": port}
            stack.start(name)
        stack.environment = {**stack.environment, **ports}
        yield stack


def scraped(stack: Stack, name: str) -> str:
    url = stack.url if name == "web" else f"http://127.0.0.1:{stack.environment[name]}"
    until = time.monotonic() + 30
    while True:
        try:
            return requests.get(f"{url}/metrics", timeout=5).text
        except requests.ConnectionError:
            assert time.monotonic() < until, stack.log(name)
            time.sleep(0.1)


def total(text: str, name: str) -> float:
    values = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, values))


@pytest.mark.slow
def test_message_is_counted_by_every_process(stack: Stack) -> None:
    key = stack.flask("clients", "create", "counted")
    for name in ("worker-send", "worker-status", "beat"):
        scraped(stack, name)
    number = "+14155552671"
    accepted = requests.post(
        f"{stack.url}/v1/messages",
        json={"to": number, "body": "Hello"},
        headers={"Authorization": f"Bearer {key}"},
        timeout=5,
    ).json()
    expected = {
        "web": ("waybill_callbacks_received_total", 2),
        "worker-send": ("waybill_sends_total", 1),
        "worker-status": ("waybill_callbacks_recorded_total", 2),
    }
    until = time.monotonic() + 30
    while any(
        total(scraped(stack, name), metric) < count for name, (metric, count) in expected.items()
    ):
        assert time.monotonic() < until, "the message was not counted"
        time.sleep(0.2)

    for name in ("web", "worker-send", "worker-status", "beat"):
        text = scraped(stack, name)
        for private in (number[1:], accepted["id"], "SM", "Hello", key):
            assert private not in text, name
    assert total(scraped(stack, "worker-status"), TASKS) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["worker-send", "worker-status", "beat"])
def test_every_process_becomes_healthy_after_its_start(stack: Stack, name: str) -> None:
    scraped(stack, name)
    url = f"http://127.0.0.1:{stack.environment[name]}/healthz"
    until = time.monotonic() + 10
    while requests.get(url, timeout=5).text != "alive\n":
        assert time.monotonic() < until, "the process does not become healthy"
        time.sleep(0.2)


def test_task_is_counted_by_its_result(celery: Celery) -> None:
    from worker import monitoring

    @celery.task(name="probe.task", shared=False)
    def task() -> None: ...

    with counting(TASKS) as counted:
        monitoring._task_started(task)
        monitoring._task_ended(task, "SUCCESS")
        monitoring._task_started(task)
        monitoring._task_ended(task, "FAILURE")
    assert counted == {("succeeded", "probe.task"): 1, ("failed", "probe.task"): 1}
