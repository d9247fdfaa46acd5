"""The client of a cluster: errors are RedisErrors, redirections are followed, nothing is twice."""

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import CrossSlotTransactionError, RedisError, ResponseError

from service.redis_client.cluster import ClusterClient, ClusterUnavailable
from service.redis_client.connections import connect
from service.redis_client.fast_client import FastClient
from service.redis_client.fast_cluster import FastCluster, fast_client
from service.redis_client.url import parse_redis_url
from tests.cluster.redis_cluster import ClusterServer, ClusterStand, redis_cluster
from tests.cluster.servers import until, unused_port
from tests.redis_stand import answering, cluster_of_one

NOWHERE = "cluster://127.0.0.1:1,127.0.0.1:2"
KEYS = ("waybill:inbox", "waybill:inbox:{0}", "waybill:inbox:{1}", "waybill:inbox:{2}")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with cluster_of_one(tmp_path_factory.mktemp("cluster")) as server:
        yield server


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStand]:
    with redis_cluster(tmp_path_factory.mktemp("stand")) as running:
        yield running


@pytest.fixture
def client(node: ClusterServer) -> Iterator[Redis]:
    with closing(connecting(f"cluster://127.0.0.1:{node.port}")) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def fast(stand: ClusterStand) -> Iterator[FastClient]:
    redis = connect(parse_redis_url(stand.url), 1)
    connections = fast_client(redis)
    yield connections
    connections.close()


def connecting(url: str, timeout: float = 1) -> Redis:
    return connect(parse_redis_url(url), timeout)


def test_commands_of_redis_reach_the_cluster(client: Redis) -> None:
    client.set("name", 1)

    assert client.get("name") == b"1"
    assert client.register_script("return KEYS[1]")(["name"], []) == b"name"


def test_pipeline_may_use_keys_of_several_slots(client: Redis) -> None:
    pipe = client.pipeline(transaction=False)
    for key in KEYS:
        pipe.set(key, key)
    pipe.execute()

    assert [client.get(key) for key in KEYS] == [key.encode() for key in KEYS]


def test_transaction_over_two_slots_is_a_bug_not_an_outage(client: Redis) -> None:
    pipe = client.pipeline(transaction=True)
    with pytest.raises(CrossSlotTransactionError):
        pipe.set(KEYS[0], 1).set(KEYS[1], 1).execute()


@pytest.mark.parametrize("word", ["command", "pipeline", "script", "fast"])
def test_no_reachable_node_is_a_redis_error(word: str) -> None:
    redis = connecting(NOWHERE)
    uses = {
        "command": lambda: redis.get("name"),
        "pipeline": lambda: redis.pipeline(transaction=False).get("name").execute(),
        "script": lambda: redis.register_script("return 1")(["name"], []),
        "fast": lambda: fast_client(redis).call(b"GET", "name"),
    }
    with pytest.raises(RedisError):
        uses[word]()


@pytest.mark.parametrize("word", ["command", "pipeline", "fast"])
def test_slot_without_a_node_is_a_redis_error(word: str, tmp_path: Path) -> None:
    """One node of three is lost, and it had no replica."""
    with cluster_of_one(tmp_path, slots=5000) as node:
        redis = connecting(f"cluster://127.0.0.1:{node.port}")
        lost = next(key for key in KEYS if key_slot(key.encode()) >= 5000)
        uses = {
            "command": lambda: redis.get(lost),
            "pipeline": lambda: redis.pipeline(transaction=False).get(lost).execute(),
            "fast": lambda: fast_client(redis).call(b"GET", lost),
        }
        with pytest.raises(RedisError):
            uses[word]()
        redis.close()


def test_cluster_is_found_after_a_start_without_it(tmp_path: Path) -> None:
    with cluster_of_one(tmp_path) as node:
        node.kill()
        redis = connecting(f"cluster://127.0.0.1:{node.port}")
        with pytest.raises(ClusterUnavailable):
            redis.get("name")
        node.start()

        until(lambda: redis.set("name", 1), 20)
        redis.close()


def test_account_of_the_url_is_used_for_each_node(tmp_path: Path) -> None:
    with cluster_of_one(tmp_path) as node:
        node.command("CONFIG", "SET", "requirepass", "secret")
        redis = connecting(f"cluster://:secret@127.0.0.1:{node.port}")

        assert redis.set("name", 1)
        assert fast_client(redis).call(b"GET", "name") == b"1"
        redis.close()


class _OneNode:
    """What FastCluster uses of a client, of a cluster whose slots are all on one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.options: dict[str, Any] = {"socket_timeout": 2, "protocol": 2}
        self.refreshes = 0

    def owner(self, slot: int) -> tuple[str, int]:
        del slot
        return "127.0.0.1", self._port

    def refresh(self) -> None:
        self.refreshes += 1

    def close(self) -> None:
        return


@pytest.mark.parametrize("answer", ["MOVED 1 127.0.0.1:{}", "ASK 1 127.0.0.1:{}", "TRYAGAIN"])
def test_redirections_are_bounded(answer: str) -> None:
    """During a failover two nodes may each name the other."""
    port = unused_port()
    with answering(answer.format(port), port=port) as (_, accepted):
        cluster = _OneNode(port)
        fast = FastCluster(cast(ClusterClient, cluster))
        with pytest.raises(ClusterUnavailable):
            fast.call(b"SET", "name", "value")
        fast.close()

    assert 1 <= len(accepted) <= 10
    assert cluster.refreshes == 1


def test_error_of_a_command_keeps_its_answers_in_order(client: Redis) -> None:
    fast = fast_client(client)
    with pytest.raises(ResponseError):
        fast.call_all("name", (b"SET", "name", "x"), (b"XLEN", "name"), (b"GET", "name"))

    assert fast.call_all("name", (b"GET", "name"), (b"ECHO", "y")) == [b"x", b"y"]


@pytest.mark.cluster
def test_commands_reach_the_node_of_their_key(fast: FastClient) -> None:
    assert [fast.call(b"SET", key, key) for key in KEYS] == [b"OK"] * len(KEYS)
    assert [fast.call(b"GET", key) for key in KEYS] == [key.encode() for key in KEYS]


@pytest.mark.cluster
def test_entry_and_its_replication_are_one_packet(fast: FastClient) -> None:
    added = (b"XADD", "waybill:stream:{1}", b"*", b"name", b"value")
    entry, replicas = fast.call_all("waybill:stream:{1}", added, (b"WAIT", 1, 2000))

    assert b"-" in entry
    assert replicas == 1


@pytest.mark.cluster
def test_moving_slot_loses_and_doubles_nothing(fast: FastClient, stand: ClusterStand) -> None:
    """A command that is asked elsewhere is executed there, and only there."""
    key, stopping, added = "waybill:moving:{3}", Event(), list[bytes]()

    def add() -> None:
        while not stopping.is_set():
            command = (b"XADD", key, b"*", b"n", len(added))
            added.append(fast.call_all(key, command, (b"WAIT", 0, 1))[0])

    fast.call(b"XADD", key, b"*", b"n", b"first")
    thread = Thread(target=add)
    thread.start()
    for _ in range(4):
        source = stand.master_of(key)
        target = next(node for node in stand.masters if node is not source)
        stand.move_slot(key_slot(key.encode()), target)
    stopping.set()
    thread.join(30)

    assert fast.call(b"XLEN", key) == len(added) + 1
    assert len(added) > 10


@pytest.mark.cluster
def test_missing_key_of_a_moving_slot_is_asked_for(fast: FastClient, stand: ClusterStand) -> None:
    key = "waybill:asked:{4}"
    slot, source = key_slot(key.encode()), stand.master_of(key)
    target = next(node for node in stand.masters if node is not source)
    fast.call(b"GET", key)
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
    try:
        for _ in range(3):
            fast.call(b"INCR", key)
        assert fast.call_all(key, (b"GET", key), (b"ECHO", "after")) == [b"3", b"after"]
        assert source.command("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
    finally:
        stand.move_slot(slot, target)


@pytest.mark.cluster
def test_killed_master_is_replaced_by_its_replica(stand: ClusterStand) -> None:
    """Both clients find it by themselves, and other nodes are not asked more than they can take."""
    key, other = "waybill:inbox:{1}", "waybill:inbox:{3}"
    redis = connecting(stand.url, 0.5)
    fast, master = fast_client(redis), stand.master_of(key)
    assert stand.master_of(other) is not master
    assert not failed(fast, redis, key)
    asked, failures = questions(stand), 0
    master.kill()
    seconds = 0.0
    try:

        def both_answer() -> bool:
            nonlocal failures
            for _ in range(20):
                with suppress(RedisError):
                    fast.call(b"SET", other, 1)
                failures += failed(fast, redis, key)
            return not failed(fast, redis, key)

        seconds = until(both_answer, 30)
        assert failures > 50
        assert questions(stand) - asked < 10 + 3 * seconds / 0.25
    finally:
        fast.close()
        stand.restart(master)
        stand.await_ready()


def failed(fast: FastClient, redis: Redis, key: str) -> int:
    """Return how many of two clients cannot write a key."""
    count = 2
    with suppress(RedisError):
        fast.call(b"SET", key, 1)
        count -= 1
    with suppress(RedisError):
        redis.set(key, 1)
        count -= 1
    return count


def questions(stand: ClusterStand) -> int:
    """Return how often the running nodes were asked for the list of nodes."""
    statistics = [node.client().info("commandstats") for node in stand.running]
    return sum(each.get("cmdstat_cluster|slots", {}).get("calls", 0) for each in statistics)
