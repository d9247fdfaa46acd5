"""Real processes: whoever is killed is shown as gone within half a minute."""

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

SOON = 30.0  # seconds: what operators are promised


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture
def look(stack: Stack) -> Callable[[], str]:
    browser = requests.Session()
    login = f"{stack.url}/ops/login"
    token = re.search(r'csrf_token" value="([^"]+)', browser.get(login, timeout=10).text)
    assert token
    form = {"csrf_token": token[1], "key": stack.flask("operators", "create", "ada")}
    browser.post(login, data=form, timeout=10).raise_for_status()
    return lambda: browser.get(f"{stack.url}/ops/live", timeout=10).text


def wait(look: Callable[[], str], *sentences: str) -> float:
    """Return after how many seconds the page says all of this."""
    began = time.monotonic()
    while not all(one in (page := look()) for one in sentences):
        assert time.monotonic() - began < SOON, page[:2000]
        time.sleep(0.5)
    return time.monotonic() - began


def another(name: str) -> list[str]:
    """Return the command of a second worker beside one of the stack's."""
    program, *rest, node = COMMANDS[name]
    return [str(Path(sys.executable).parent / program), *rest, node.replace("@", "-2@")]


@pytest.mark.slow
def test_of_two_send_workers_and_two_status_workers_one_of_each_is_killed(
    stack: Stack, look: Callable[[], str], tmp_path: Path
) -> None:
    log, given = tmp_path / "log", dict(stack.environment)
    with (
        process(another("worker-send"), given, log) as sender,
        process(another("worker-status"), given, log) as recorder,
    ):
        wait(look, "send@", "status@", "send-2@", "status-2@", "Nothing is stuck")
        for pid in (sender, recorder):
            os.kill(pid, signal.SIGKILL)
        wait(look, "Worker send-2@", "Worker status-2@", "is gone, last seen at")
    page = look()
    assert "No worker takes from" not in page
    stack.kill("worker-send")
    wait(look, "No worker takes from the queue “send”.", "Something stands still.")
