"""Idle connections are bounded, and closed when they are old."""

from collections.abc import Iterator

import pytest

from service.webhook_client import idle_connections
from service.webhook_client.connection import Connection
from service.webhook_client.idle_connections import IdleConnections
from service.webhook_client.url import parse_url


class Clock:
    now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(idle_connections, "time", clock)
    monkeypatch.setattr("service.webhook_client.connection.time", clock)
    return clock


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts whose connections were closed."""
    hosts = list[str]()
    monkeypatch.setattr(Connection, "close", lambda self: hosts.append(self.host))
    monkeypatch.setattr(Connection, "is_stale", lambda self: self.host == "stale")
    return hosts


def connection(host: str) -> Connection:
    return Connection(parse_url(f"http://{host}/"), [], None)


def key(host: str) -> tuple[str, str, int]:
    return "http", host, 80


def test_connection_serves_its_own_host_only(clock: Clock, closed: list[str]) -> None:
    idle, kept = IdleConnections(8), connection("a")
    idle.put(kept)
    assert idle.take(key("b")) is None
    assert idle.take(("https", "a", 80)) is None
    assert idle.take(key("a")) is kept
    assert idle.take(key("a")) is None


def test_oldest_of_all_hosts_is_closed(clock: Clock, closed: list[str]) -> None:
    idle = IdleConnections(2)
    for host in ("a", "b", "c", "d"):
        idle.put(connection(host))
    assert closed == ["a", "b"]
    assert [bool(idle.take(key(host))) for host in "abcd"] == [False, False, True, True]


def test_idle_connection_expires(clock: Clock, closed: list[str]) -> None:
    idle = IdleConnections(8, max_idle=30)
    idle.put(connection("a"))
    clock.now += 29
    kept = idle.take(key("a"))
    assert kept
    idle.put(kept)
    clock.now += 30
    idle.put(connection("b"))  # closes also what no call asks for
    assert closed == ["a"]


def test_busy_connection_expires(clock: Clock, closed: list[str]) -> None:
    idle, kept = IdleConnections(8), connection("a")
    for _ in range(5):
        idle.put(kept)
        clock.now += 10
        assert idle.take(key("a")) is kept
    idle.put(kept)
    clock.now += 10
    assert idle.take(key("a")) is None


def test_connection_of_a_clock_that_went_back_is_closed(clock: Clock, closed: list[str]) -> None:
    idle = IdleConnections(8)
    idle.put(connection("a"))
    clock.now -= 60
    assert idle.take(key("a")) is None
    assert closed == ["a"]


def test_connection_that_the_receiver_closed_is_not_used(clock: Clock, closed: list[str]) -> None:
    idle = IdleConnections(8)
    idle.put(connection("stale"))
    assert idle.take(key("stale")) is None
    assert closed == ["stale"]
