"""The primary of PostgreSQL dies under load, and its standby is promoted.

No process is restarted, and the settings stay: DATABASE_URL has both hosts.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from demo.stack import Stack, running
from tests.as_started.conftest import SIMULATOR, place
from tests.chaos.verdict import read_records
from tests.cluster.postgres import PostgresStand, postgres_stand
from tests.cluster.servers import until

pytestmark = pytest.mark.cluster

# Seconds until an operator or a health check promotes the standby.
DETECTED = 1.0
fixtures = (place,)  # pytest finds it by its name


@pytest.fixture
def stand(place: Path) -> Iterator[PostgresStand]:
    """A commit waits for the standby: ASYNCHRONOUS=1 shows what is lost without it."""
    synchronous = not os.environ.get("ASYNCHRONOUS")
    with postgres_stand(place / "postgres", synchronous=synchronous) as stand:
        yield stand


@pytest.fixture
def stack(stand: PostgresStand, place: Path) -> Iterator[Stack]:
    environment = {"DATABASE_URL": both_hosts(stand), "DATABASE_READ_URL": stand.read_url}
    with running(place / "stack", simulator=SIMULATOR, environment=environment) as stack:
        yield stack


def both_hosts(stand: PostgresStand) -> str:
    """Return the URL as operators write it. Time limits are those of Waybill."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in stand.servers)
    return f"postgresql://waybill@{hosts}/waybill"


class Clients:
    """Clients that post, and repeat a post with its idempotency key until it is accepted."""

    def __init__(self, stack: Stack) -> None:
        key = stack.flask("clients", "create", "shop")
        self.headers = {"Authorization": f"Bearer {key}"}
        self.url = f"{stack.url}/v1/messages"
        self.accepted = dict[str, str]()  # the ids of messages by text
        self.accepted_at = list[float]()
        self.unlisted = list[str]()
        self._numbers = itertools.count()
        self._done = threading.Event()

    def post_until_stopped(self) -> None:
        """Post one message after the other."""
        while not self._done.is_set():
            self._post(f"message {next(self._numbers)}")

    def stop(self) -> None:
        """End the clients when their present posts are accepted."""
        self._done.set()

    def message(self, message_id: str) -> requests.Response:
        """Return the answer to a request for one message."""
        return requests.get(f"{self.url}/{message_id}", headers=self.headers, timeout=30)

    def _post(self, text: str) -> None:
        message = {"to": "+14155552671", "body": text}
        headers = {**self.headers, "Idempotency-Key": text}
        while True:
            answer = requests.post(self.url, json=message, headers=headers, timeout=30)
            if answer.status_code == 202:
                self.accepted[text] = answer.json()["id"]
                self.accepted_at.append(time.monotonic())
                return
            assert answer.status_code == 503, answer.text
            time.sleep(0.1)

    def lists(self, message_id: str) -> bool:
        """Report whether the newest messages contain one."""
        answer = requests.get(self.url, headers=self.headers, timeout=30)
        answer.raise_for_status()
        return message_id in {each["id"] for each in answer.json()["messages"]}


def test_promotion_needs_no_restart_and_loses_nothing(
    stand: PostgresStand, stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    clients = Clients(stack)
    with ThreadPoolExecutor(3) as pool:
        posting = [pool.submit(clients.post_until_stopped) for _ in range(3)]
        until(lambda: len(clients.accepted) > 20, 60)
        killed_at = time.monotonic()
        stand.primary.kill()
        time.sleep(DETECTED)
        stand.promote()
        until(lambda: clients.accepted_at[-1] > killed_at + DETECTED, 60)
        time.sleep(2)
        clients.stop()
        for each in posting:
            each.result(60)
    stack.check()  # no process has ended
    finished = {text: status(clients, text) for text in clients.accepted}
    lost = [text for text, found in finished.items() if found == 404]
    record_property("accepted", len(finished))
    record_property("lost", len(lost))
    record_property("seconds without service", round(pause(clients), 2))
    if not os.environ.get("ASYNCHRONOUS"):
        assert lost == []
    kept = [text for text in finished if text not in lost]
    until(lambda: all(status(clients, text) == "delivered" for text in kept), 90)
    records = read_records(stack)
    assert [text for text in kept if len(records[text]) != 1] == []
    assert clients.lists(clients.accepted[kept[-1]])


def status(clients: Clients, text: str) -> str | int:
    """Return the status of a message, or that of the answer."""
    answer = clients.message(clients.accepted[text])
    return str(answer.json()["status"]) if answer.ok else answer.status_code


def pause(clients: Clients) -> float:
    """Return the longest time in which no post was accepted."""
    return max(after - before for before, after in itertools.pairwise(clients.accepted_at))
