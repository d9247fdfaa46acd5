"""Requests that wait for events leave threads for all others, also if their clients go away."""

import socket
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from urllib.parse import urlsplit

import pytest
import requests

from tests.as_started.conftest import Install
from tests.as_started.installation import Client, Installation

pytestmark = pytest.mark.slow

# Seconds. A request that does not wait is answered within a small part of this.
WAIT = 6
# The command of docker-compose.yml has two processes with four threads each.
PROCESSES = 2


class Feed:
    """A running web server, and a client of it."""

    def __init__(self, waybill: Installation) -> None:
        self._url, self.headers = waybill.url, Client(waybill).headers

    def wait(self, _number: int = 0) -> float:
        """Wait for an event; return for how many seconds the server let it wait."""
        began = monotonic()
        url = f"{self._url}/v1/events?after=now&wait={WAIT}"
        answer = requests.get(url, headers=self.headers, timeout=60)
        assert (answer.status_code, answer.json()["events"]) == (200, [])
        return monotonic() - began

    def wait_and_leave(self) -> None:
        """Ask for events and close the connection."""
        address = urlsplit(self._url)
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            request = f"GET /v1/events?after=now&wait={WAIT} HTTP/1.1\r\nHost: waybill\r\n"
            request += f"Authorization: {self.headers['Authorization']}\r\n\r\n"
            connection.sendall(request.encode())

    def list(self) -> float:
        """List messages; return the seconds until the answer."""
        began = monotonic()
        answer = requests.get(f"{self._url}/v1/messages", headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return monotonic() - began


@pytest.fixture
def feed(install: Install) -> Feed:
    waybill = install("docker-compose.yml")
    waybill.migrate()
    waybill.start("web")
    return Feed(waybill)


def test_waiting_requests_leave_threads_for_others(feed: Feed) -> None:
    with ThreadPoolExecutor(24) as pool:
        waiting = [pool.submit(feed.wait, number) for number in range(16)]
        listed = [feed.list() for _ in range(20)]
        seconds = [request.result() for request in waiting]
    assert max(listed) < WAIT / 2
    assert 1 <= sum(each >= WAIT for each in seconds) <= PROCESSES
    assert sum(each < WAIT / 2 for each in seconds) >= 16 - PROCESSES


def test_clients_that_go_away_do_no_harm(feed: Feed) -> None:
    for _ in range(24):
        feed.wait_and_leave()
    assert max(feed.list() for _ in range(10)) < WAIT / 2
    began = monotonic()
    while feed.wait() < WAIT:
        assert monotonic() - began < 5 * WAIT, "no request may wait again"
