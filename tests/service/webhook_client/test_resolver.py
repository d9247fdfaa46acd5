"""A name server that hangs holds no caller, and one thread."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.webhook_client import resolver
from service.webhook_client.resolver import NotResolved, resolve


class NameServer:
    """Answers when it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.looked_up = list[str]()

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.looked_up.append(host)
        self.released.wait(10)
        if host == "broken":
            raise UnicodeError
        return [(None, None, 0, "", ("203.0.113.10", port))] * 2


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(resolver, "getaddrinfo", server)
    yield server
    server.released.set()
    while resolver._under_way:
        time.sleep(0.01)


def test_addresses_are_returned_once(server: NameServer) -> None:
    server.released.set()
    assert resolve("hooks.example", 443, ()) == ["203.0.113.10"]


def test_hanging_look_up_ends_in_time(server: NameServer) -> None:
    started = time.monotonic()
    with pytest.raises(NotResolved):
        resolve("hooks.example", 443, (), timeout=0.1)
    assert time.monotonic() - started < 1


def test_callers_share_a_hanging_look_up(server: NameServer) -> None:
    def fails(_: int) -> bool:
        try:
            resolve("hooks.example", 443, (), timeout=0.1)
        except NotResolved:
            return True
        return False

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(fails, range(64)))
    assert server.looked_up == ["hooks.example"]


def test_look_ups_are_bounded(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_MOST_LOOK_UPS", 3)
    for number in range(5):
        with pytest.raises(NotResolved):
            resolve(f"{number}.example", 443, (), timeout=0.01)
    assert server.looked_up == ["0.example", "1.example", "2.example"]


def test_any_failure_is_not_resolved(server: NameServer) -> None:
    server.released.set()
    with pytest.raises(NotResolved):
        resolve("broken", 443, ())
    assert resolve("hooks.example", 443, ()) == ["203.0.113.10"]
