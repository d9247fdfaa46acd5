"""Real processes: a killed worker is shown as stopped within 30 s."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from bench.processes import process
from demo.stack import COMMANDS, Stack, running

TIMEOUT = 30.0  # seconds, as documented for operators


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture
def read_overview(stack: Stack) -> Callable[[], str]:
    browser = requests.Session()
    login = f"{stack.url}/ops/login"
    token = re.search(r'csrf_token" value="([^"]+)', browser.get(login, timeout=10).text)
    assert token
    form = {"csrf_token": token[1], "key": stack.flask("operators", "create", "ada")}
    browser.post(login, data=form, timeout=10).raise_for_status()
    return lambda: browser.get(f"{stack.url}/ops/live", timeout=10).text


def wait(read_overview: Callable[[], str], *texts: str) -> float:
    """Wait until the page shows all texts; return after how many seconds."""
    start = time.monotonic()
    while not all(text in (page := read_overview()) for text in texts):
        assert time.monotonic() - start < TIMEOUT, page[:2000]
        time.sleep(0.5)
    return time.monotonic() - start


def another(name: str) -> list[str]:
    """Return the command of a second worker like one of the stack."""
    program, *rest, node = COMMANDS[name]
    return [str(Path(sys.executable).parent / program), *rest, node.replace("@", "-2@")]


@pytest.mark.slow
def test_killed_workers_are_shown_as_stopped(
    stack: Stack, read_overview: Callable[[], str], tmp_path: Path
) -> None:
    log, environment = tmp_path / "log", dict(stack.environment)
    with (
        process(another("worker-send"), environment, log) as sender,
        process(another("worker-status"), environment, log) as recorder,
    ):
        wait(read_overview, "send@", "status@", "send-2@", "status-2@", "Healthy: ")
        for pid in (sender, recorder):
            os.kill(pid, signal.SIGKILL)
        wait(read_overview, "Worker send-2@", "Worker status-2@", "stopped unexpectedly")
    page = read_overview()
    assert "No worker reads" not in page
    stack.kill("worker-send")
    wait(read_overview, "No worker reads the queue “send”", "Critical: ")
