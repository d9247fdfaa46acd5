"""Kept connections follow the master that Sentinels name, also while the old one still answers."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelManagedConnection

from service.redis_client import sentinel
from service.redis_client.closing import closing
from service.redis_client.fast_client import FastClient
from service.redis_client.sentinel import MasterPool
from tests.cluster.servers import ValkeyServer, until


class Sentinels:
    """What a pool uses of the Sentinels; they name one server, or none."""

    def __init__(self, master: ValkeyServer) -> None:
        self.master: ValkeyServer | None = master

    def discover_master(self, name: str) -> tuple[str, int]:
        if self.master is None:
            raise MasterNotFoundError(name)
        return "127.0.0.1", self.master.port


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ValkeyServer]]:
    directory = tmp_path_factory.mktemp("servers")
    servers = [ValkeyServer(directory / name) for name in ("first", "second")]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
def sentinels(servers: list[ValkeyServer], monkeypatch: pytest.MonkeyPatch) -> Sentinels:
    monkeypatch.setattr(sentinel, "_INTERVAL", 0.0)
    return Sentinels(servers[0])


def pool(sentinels: Sentinels, **options: Any) -> MasterPool:
    options = {"socket_timeout": 2, "timeout": 2, "protocol": 2, "max_connections": 4} | options
    kind = closing(SentinelManagedConnection)
    return MasterPool("waybill", cast(Sentinel, sentinels), connection_class=kind, **options)


@pytest.mark.parametrize("client", ["redis", "fast"])
def test_kept_connection_follows_a_planned_failover(
    client: str, servers: list[ValkeyServer], sentinels: Sentinels
) -> None:
    """The old master takes writes for 11 s more, and all of them are lost."""
    redis = Redis(connection_pool=pool(sentinels))
    fast = FastClient(redis)
    write = {"redis": lambda: redis.incr("n"), "fast": lambda: fast.call(b"INCR", "n")}[client]
    write()
    sentinels.master = servers[1]

    def reached() -> bool:
        write()
        return servers[1].command("GET", "n") is not None

    until(reached, 10)
    before = servers[0].command("GET", "n")
    write()
    assert servers[0].command("GET", "n") == before
    servers[1].command("FLUSHALL")
    fast.close()
    redis.close()


def test_connections_stay_while_no_sentinel_answers(sentinels: Sentinels) -> None:
    redis = Redis(connection_pool=pool(sentinels))
    before = redis.client_id()
    sentinels.master = None

    assert [redis.client_id() for _ in range(20)] == [before] * 20
    redis.close()


def test_connections_to_the_master_are_bounded(sentinels: Sentinels) -> None:
    bounded = pool(sentinels, timeout=0.05)
    taken = [bounded.get_connection() for _ in range(4)]
    with pytest.raises(RedisError):
        bounded.get_connection()
    bounded.release(taken.pop())

    taken.append(bounded.get_connection())
    bounded.disconnect()
