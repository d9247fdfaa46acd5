"""Connections to Redis are bounded, shared by threads, and closed when they fail."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
from redis import Redis
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.sentinel import SentinelManagedConnection

from demo.servers import RedisServer, redis_server
from service.redis_client import fast_client
from service.redis_client.closing import closing
from service.redis_client.connections import connect
from service.redis_client.fast_client import FastClient, NoFreeConnection
from service.redis_client.url import parse_redis_url
from tests.messages import assert_soon
from tests.redis_stand import answering


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
def connections(server: RedisServer) -> Iterator[FastClient]:
    client = FastClient(connect(parse_redis_url(server.url), 0.3))
    yield client
    server.thaw()
    client.close()


def clients_of(server: RedisServer) -> int:
    """Return how many connections Redis has, without the one of this function."""
    with Redis.from_url(server.url) as redis:
        return len(redis.client_list()) - 1


def burst(threads: int, function: Callable[[], object]) -> None:
    """Run `function` in threads that all start together, and end."""
    begin = Barrier(threads, timeout=30)

    def run() -> None:
        begin.wait()
        function()

    started = [Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(30)


def test_command_is_answered(connections: FastClient) -> None:
    assert connections.call(b"SET", "name", b"\x00\xff") == b"OK"
    assert connections.call(b"GET", "name") == b"\x00\xff"


def test_connection_survives_a_refused_command(connections: FastClient) -> None:
    before = connections.call(b"CLIENT", "ID")
    with pytest.raises(ResponseError):
        connections.call(b"NONSENSE")

    assert connections.call(b"CLIENT", "ID") == before


def test_ended_threads_leave_no_connections(server: RedisServer) -> None:
    """A web server's threads end when they are idle: 640 in 40 bursts, by tens and twenties."""
    connections = FastClient(connect(parse_redis_url(server.url), 5), wait=5)
    for threads in (12, 20) * 20:
        burst(threads, lambda: connections.call(b"INCR", "calls"))

    assert connections.call(b"GET", "calls") == b"640"
    assert_soon(lambda: clients_of(server) <= 20)
    connections.close()


def test_connections_in_use_are_bounded(server: RedisServer) -> None:
    connections = FastClient(connect(parse_redis_url(server.url), 5), max_connections=3, wait=5)
    burst(60, lambda: connections.call(b"INCR", "calls"))

    assert connections.call(b"GET", "calls") == b"60"
    assert_soon(lambda: clients_of(server) <= 3)  # the server notices a closed one a moment later
    connections.close()


def test_wait_for_a_free_connection_is_bounded(server: RedisServer) -> None:
    connections = FastClient(connect(parse_redis_url(server.url), 5), max_connections=1, wait=0.05)
    blocked = Thread(target=lambda: connections.call(b"BLPOP", "nothing", 1))
    blocked.start()
    deadline = time.monotonic() + 10
    while not clients_of(server):
        assert time.monotonic() < deadline

    with pytest.raises(NoFreeConnection):
        connections.call(b"PING")
    blocked.join(10)
    assert connections.call(b"ECHO", "here") == b"here"
    connections.close()


def test_late_answer_is_never_read_by_the_next_command(
    connections: FastClient, server: RedisServer
) -> None:
    connections.call(b"PING")
    server.freeze()
    for _ in range(3):
        with pytest.raises(RedisError):
            connections.call(b"ECHO", "late")
    server.thaw()

    assert [connections.call(b"ECHO", "a"), connections.call(b"ECHO", "b")] == [b"a", b"b"]


def test_idle_connection_that_died_is_replaced(
    connections: FastClient, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.call(b"PING")
    server.kill()
    server.start()
    monkeypatch.setattr(fast_client, "_CHECK_AFTER_IDLE", -1.0)

    assert connections.call(b"ECHO", "here") == b"here"


def test_connection_idle_for_too_long_is_replaced(
    connections: FastClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = connections.call(b"CLIENT", "ID")
    monkeypatch.setattr(fast_client, "_MAX_IDLE", -1.0)

    assert connections.call(b"CLIENT", "ID") != before


def test_connection_that_died_fails_one_command(
    connections: FastClient, server: RedisServer
) -> None:
    connections.call(b"PING")
    server.kill()
    server.start()
    with pytest.raises(RedisError):
        connections.call(b"PING")

    assert connections.call(b"ECHO", "here") == b"here"


def test_connection_to_a_demoted_master_is_closed(
    connections: FastClient, server: RedisServer
) -> None:
    """It keeps them open, and answers READONLY to every write."""
    before = connections.call(b"CLIENT", "ID")
    with Redis.from_url(server.url) as redis:
        redis.replicaof("127.0.0.1", "1")
        with pytest.raises(ReadOnlyError):
            connections.call(b"SET", "name", "value")
        assert connections.call(b"CLIENT", "ID") != before
        redis.replicaof("NO", "ONE")

    assert connections.call(b"SET", "name", "value") == b"OK"


def test_pooled_connection_to_a_replica_is_closed(server: RedisServer) -> None:
    with connect(parse_redis_url(server.url), 1) as client, Redis.from_url(server.url) as redis:
        before = client.client_id()
        redis.replicaof("127.0.0.1", "1")
        with pytest.raises(ReadOnlyError):
            client.set("name", "value")
        assert client.client_id() != before


@pytest.mark.parametrize(
    ("answer", "closes"),
    [
        ("READONLY You can't write against a read only replica.", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("MASTERDOWN Link with MASTER is down", True),
        ("MOVED 3999 127.0.0.1:6381", True),
        ("CLUSTERDOWN The cluster is down", True),
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("WRONGTYPE Operation against a key blocked the wrong kind of value", False),
        ("OOM command not allowed when used memory > 'maxmemory'.", False),
    ],
)
def test_answer_decides_whether_a_connection_stays(answer: str, closes: bool) -> None:
    with answering(answer) as (port, accepted):
        connections = FastClient(connect(parse_redis_url(f"redis://127.0.0.1:{port}"), 2))
        for _ in range(2):
            with pytest.raises(RedisError):
                connections.call(b"SET", "name", "value")
        connections.close()

    assert len(accepted) == (2 if closes else 1)


def test_sentinel_connection_closes_after_a_timeout() -> None:
    """redis-py keeps it open, and the next command would read the late answer."""
    with answering("+OK", seconds=0.5) as (port, _):
        connection = closing(SentinelManagedConnection)(
            connection_pool=_Master(port), socket_timeout=0.1, protocol=2, driver_info=None
        )
        connection.connect()
        connection.send_packed_command([b"PING\r\n"], check_health=False)
        with pytest.raises(RedisError):
            connection.read_response()

        assert not connection.is_connected


def test_forked_process_opens_its_own_connections(connections: FastClient) -> None:
    parents = int(connections.call(b"CLIENT", "ID"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, b"%d" % connections.call(b"CLIENT", "ID"))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        assert int(answer.read()) != parents

    assert connections.call(b"CLIENT", "ID") == parents


class _Master:
    """The part of a Sentinel pool that a connection uses."""

    is_master, check_connection, service_name = True, False, "waybill"

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)

    def get_master_address(self) -> tuple[str, int]:
        return self._address
