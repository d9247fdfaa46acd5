"""Connections through a Sentinel: no late answers, and the new master after a failover."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from demo import servers
from demo.servers import RedisServer, free_port, redis_server
from service.redis_client.connections import connect
from service.redis_client.fast_client import FastClient
from service.redis_client.url import parse_redis_url

SHORT: dict[str, Any] = {
    "socket_timeout": 0.3,
    "socket_connect_timeout": 0.3,
    "retry": None,
    "protocol": 2,
}


def port_of(server: RedisServer) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


@pytest.fixture
def master(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "master") as server:
        yield server


@pytest.fixture
def connections(master: RedisServer, tmp_path: Path) -> Iterator[FastClient]:
    """A client of a Sentinel that monitors a master with a replica."""
    with ExitStack() as stack:
        replica = stack.enter_context(redis_server(tmp_path / "replica"))
        with Redis.from_url(replica.url) as redis:
            redis.replicaof("127.0.0.1", str(port_of(master)))
            await_(lambda: redis.info("replication")["master_link_status"] == "up")
        port = free_port()
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
            f"sentinel monitor waybill 127.0.0.1 {port_of(master)} 1\n"
            "sentinel down-after-milliseconds waybill 2000\n"
            "sentinel failover-timeout waybill 3000\n"
            "requirepass of-the-sentinel\n"
        )
        process = subprocess.Popen(
            [servers.server_binary(), str(configuration), "--sentinel"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        account = {**SHORT, "password": "of-the-sentinel"}
        sentinel = Sentinel([("127.0.0.1", port)], sentinel_kwargs=account)
        await_(lambda: len(sentinel.discover_slaves("waybill")) == 1)
        url = f"sentinel://127.0.0.1:{port}/waybill/0?sentinel_password=of-the-sentinel"
        client = FastClient(connect(parse_redis_url(url), 0.3))
        yield client
        client.close()
        sentinel.close()
        master.thaw()


def await_(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except RedisError:
            pass
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.05)


@pytest.mark.slow
def test_late_answer_of_a_frozen_master_is_not_read(
    connections: FastClient, master: RedisServer
) -> None:
    connections.call(b"PING")
    master.freeze()
    with pytest.raises(RedisError):
        connections.call(b"ECHO", "late")
    master.thaw()

    assert [connections.call(b"ECHO", f"{n}") for n in range(3)] == [b"0", b"1", b"2"]


@pytest.mark.slow
def test_commands_reach_the_new_master_after_a_failover(
    connections: FastClient, master: RedisServer
) -> None:
    connections.call(b"SET", "before", 1)
    old = connections.call(b"CONFIG", "GET", "port")
    master.kill()

    await_(lambda: connections.call(b"SET", "after", 1) == b"OK")
    assert connections.call(b"CONFIG", "GET", "port") != old
