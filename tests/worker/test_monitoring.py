"""A worker and beat can be watched: they answer at their port, and tell when they hang."""

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
def watched(
    app: Flask, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, str]]:
    """The module, and the address at which it answers."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from worker import monitoring as watching

    port = free_port()
    settings = make_settings(
        database_url, redis_url, METRICS_PORT=str(port), METRICS_TOKEN="t" * 16
    )
    made = create_app(settings)
    server = watching.serve(made.extensions["waybill"])
    yield watching, f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
    with made.app_context():
        db.engine.dispose()


def test_a_probe_is_told_that_the_main_loop_comes_round(watched: tuple[Any, str]) -> None:
    watching, url = watched
    watching.PULSE.beat()

    assert requests.get(f"{url}/healthz", timeout=5).status_code == 200


def test_a_probe_is_told_that_the_main_loop_hangs(watched: tuple[Any, str]) -> None:
    watching, url = watched
    watching.PULSE._last = time.monotonic() - 91
    answer = requests.get(f"{url}/healthz", timeout=5)
    watching.PULSE.beat()

    assert (answer.status_code, answer.text) == (503, "the main loop hangs\n")


def test_the_token_is_asked_for_here_too(watched: tuple[Any, str]) -> None:
    _, url = watched
    assert requests.get(f"{url}/metrics", timeout=5).status_code == 401

    answer = requests.get(
        f"{url}/metrics", headers={"Authorization": f"Bearer {'t' * 16}"}, timeout=5
    )
    assert answer.status_code == 200
    assert "waybill_sends_total" in answer.text
    assert "waybill_inbox_entries" not in answer.text, "asked of the web, once"


def test_there_is_nothing_else_to_see(watched: tuple[Any, str]) -> None:
    assert requests.get(f"{watched[1]}/v1/messages", timeout=5).status_code == 404


def test_a_port_that_is_taken_is_said_and_ends_no_worker(
    watched: tuple[Any, str], caplog: pytest.LogCaptureFixture, redis_url: str
) -> None:
    watching, url = watched
    settings = make_settings("sqlite:///x.db", redis_url, METRICS_PORT=url.rpartition(":")[2])
    watching._serve_if_possible(create_app(settings).extensions["waybill"])

    assert "Address already in use" in caplog.text


def test_without_a_port_nothing_listens() -> None:
    assert make_settings("sqlite:///x.db", "redis://x").metrics_port == 0


# The real processes


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack; each worker and beat answers at a port of its own."""
    directory = tmp_path_factory.mktemp("watched")
    ports = {name: str(free_port()) for name in ("worker-send", "worker-status", "beat")}
    with running(directory, simulator=("--pace", "0.1")) as found:
        for name, port in ports.items():
            found.stop(name)
            found.environment = {**found.environment, "METRICS_PORT": port}
            found.start(name)
        found.environment = {**found.environment, **ports}
        yield found


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
    found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def test_a_message_is_counted_by_every_process_that_it_passes(stack: Stack) -> None:
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
    delivered = {
        "web": ("waybill_callbacks_received_total", 2),
        "worker-send": ("waybill_sends_total", 1),
        "worker-status": ("waybill_callbacks_recorded_total", 2),
    }
    until = time.monotonic() + 30
    while any(total(scraped(stack, name), what) < many for name, (what, many) in delivered.items()):
        assert time.monotonic() < until, "it was not counted"
        time.sleep(0.2)

    for name in ("web", "worker-send", "worker-status", "beat"):
        text = scraped(stack, name)
        for private in (number[1:], accepted["id"], "SM", "Hello", key):
            assert private not in text, name
    assert total(scraped(stack, "worker-status"), TASKS) > 0


@pytest.mark.parametrize("name", ["worker-send", "worker-status", "beat"])
def test_the_main_loop_of_every_process_is_felt(stack: Stack, name: str) -> None:
    """Until it has come round once, a process is not alive: the probe of a start waits for that."""
    scraped(stack, name)
    url = f"http://127.0.0.1:{stack.environment[name]}/healthz"
    until = time.monotonic() + 10
    while requests.get(url, timeout=5).text != "alive\n":
        assert time.monotonic() < until, "its main loop does not come round"
        time.sleep(0.2)


def test_a_task_is_counted_by_how_it_ended(celery: Celery) -> None:
    from worker import monitoring as watching

    @celery.task(name="probe.well", shared=False)
    def well() -> None: ...

    with counting(TASKS) as counted:
        watching._begin(well)
        watching._end(well, "SUCCESS")
        watching._begin(well)
        watching._end(well, "FAILURE")
    assert counted == {("succeeded", "probe.well"): 1, ("failed", "probe.well"): 1}
