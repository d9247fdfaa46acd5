"""The stands do what their methods say, so that a failure of one is not taken for Waybill's."""

from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from kombu import Connection

from tests.cluster.postgres import postgres_stand
from tests.cluster.rabbitmq import rabbitmq
from tests.cluster.redis_cluster import redis_cluster
from tests.cluster.sentinel import sentinel_stand
from tests.cluster.servers import until

pytestmark = pytest.mark.cluster


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stand")


def test_sentinel_replaces_a_killed_and_a_frozen_master(place: Path) -> None:
    with sentinel_stand(place) as stand:
        first = stand.master
        stand.client().set("key", "value")
        assert stand.client().execute_command("WAIT", 2, 5000) == 2
        first.kill()
        stand.await_failover(first)
        second = stand.master
        assert stand.client().get("key") == b"value"
        stand.restart(first)
        stand.await_ready()
        assert first in stand.replicas

        second.freeze()
        stand.await_failover(second)
        assert stand.client().get("key") == b"value"


def test_cluster_moves_a_slot_and_replaces_a_master(place: Path) -> None:
    with redis_cluster(place) as stand:
        client = stand.client()
        for number in range(250):
            client.set(f"{{tag}}{number}", number)
        first = stand.master_of("{tag}")
        second = next(node for node in stand.masters if node is not first)
        stand.move_slot(stand.slot_of("{tag}"), second)
        assert stand.master_of("{tag}") is second
        assert client.get("{tag}249") == b"249"

        second.kill()
        stand.await_failover("{tag}", second)
        assert stand.client().get("{tag}249") == b"249"
        stand.restart(second)
        stand.await_ready()
        assert stand.master_of("{tag}") is not second


@pytest.mark.parametrize("synchronous", [False, True], ids=["asynchronous", "synchronous"])
def test_standby_becomes_the_primary(place: Path, synchronous: bool) -> None:
    with postgres_stand(place, synchronous=synchronous) as stand:
        stand.primary.sql("CREATE TABLE number AS SELECT 1 AS value")
        stand.await_replay()
        old = stand.primary
        old.kill()
        stand.promote()
        assert stand.primary is not old
        stand.rejoin()
        stand.primary.sql("INSERT INTO number VALUES (2)")
        stand.await_replay()
        assert stand.standby.sql("SELECT value FROM number ORDER BY 1") == [(1,), (2,)]


def test_rabbitmq_keeps_a_message_over_a_kill(place: Path) -> None:
    with rabbitmq(place) as stand:
        arguments = {"x-queue-type": "quorum"}
        with Connection(stand.url) as connection:
            queue = connection.SimpleQueue("test", queue_args=arguments)
            queue.put("message")
            until(lambda: queue.qsize() == 1, 10)
        stand.nodes[0].kill()
        stand.restart(stand.nodes[0])
        assert taken(stand.url, arguments) == "message"


def taken(url: str, arguments: dict[str, str]) -> object:
    """Take one message; a queue without a leader yet ends the connection with an error."""
    found = list[object]()

    def take() -> bool:
        with Connection(url) as connection, suppress(*connection.connection_errors):
            queue = connection.SimpleQueue("test", queue_args=arguments)
            found.append(queue.get(timeout=30).payload)
        return bool(found)

    until(take, 120)
    return found[0]


def test_stand_leaves_no_process(place: Path) -> None:
    with sentinel_stand(place) as stand:
        servers = [*stand.nodes, *stand.sentinels]
        stand.nodes[1].freeze()
        pids = [server.pid for server in servers]
    assert not any(map(psutil.pid_exists, pids))
