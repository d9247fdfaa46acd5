"""The inbox over several streams of a real cluster, also while one of its nodes is down."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.errors import InboxUnavailable
from service.inbox.entry import Entry
from service.inbox.inbox import Inbox
from service.inbox.stream_names import stream_names
from service.providers.base import Callback
from service.redis_client.connections import connect
from service.redis_client.fast_cluster import fast_client
from service.redis_client.url import parse_redis_url
from tests.cluster.redis_cluster import ClusterStand, redis_cluster
from tests.cluster.servers import until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("inbox")]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STREAMS = 16


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStand]:
    directory: Path = tmp_path_factory.mktemp("cluster")
    with redis_cluster(directory) as stand:
        yield stand


@pytest.fixture
def inbox(stand: ClusterStand) -> Inbox:
    """As the application makes it."""
    return make_inbox(stand)


def make_inbox(stand: ClusterStand, streams: int = STREAMS, replicas: int = 0) -> Inbox:
    address = parse_redis_url(stand.url)
    fast = fast_client(connect(address, 0.2))
    return Inbox(connect(address, 5.0), fast, 100_000, streams, replicas)


def callbacks(number: int, first: int = 0) -> list[Callback]:
    return [
        Callback("twilio", str(each), b"%d" % each, NOW) for each in range(first, first + number)
    ]


def drained(inbox: Inbox) -> list[Callback]:
    """Take and acknowledge until all nodes answer and the inbox is empty."""
    taken = list[Callback]()
    while inbox.lag():
        batch: list[Entry] = inbox.next_batch(500, idle=20)
        inbox.ack(batch)
        taken += (entry.callback for entry in batch)
    return taken


def test_every_command_works_over_all_nodes(stand: ClusterStand, inbox: Inbox) -> None:
    sent = callbacks(400)
    for each in sent:
        inbox.put(each)

    assert {stand.master_of(name).port for name in stream_names()[:STREAMS]} == {
        node.port for node in stand.masters
    }
    assert inbox.lag() == sum(each.entries for each in inbox.figures()) == 400
    assert 0 < inbox.oldest_age() < 60
    assert sorted(e.callback for page in inbox.pages(7) for e in page) == sorted(sent)
    batch = inbox.next_batch(100, idle=20)
    inbox.release(inbox.consumer, batch, idle=20)
    reclaimed = inbox.reclaim("other", 100, idle=20)
    assert sorted(e.callback for e in reclaimed) == sorted(e.callback for e in batch)
    assert inbox.mark_suspect(reclaimed[0])
    inbox.clear_suspect(reclaimed[0])
    inbox.ack(reclaimed)
    inbox.keep_in_use()
    rest = drained(make_inbox(stand, streams=1))
    assert sorted(rest + [e.callback for e in reclaimed]) == sorted(sent)
    assert inbox.remove_consumers(idle=0) > 0
    inbox.ping()


def test_replica_confirms_each_callback(stand: ClusterStand) -> None:
    inbox = make_inbox(stand, replicas=1)
    for each in callbacks(100):
        inbox.put(each)  # would raise NotReplicated

    assert inbox.has_room()
    assert sorted(drained(inbox)) == sorted(callbacks(100))


def test_killed_node_stops_neither_callbacks_nor_consumers(
    stand: ClusterStand, inbox: Inbox
) -> None:
    """Callbacks that find no stream would go to the overflow; those accepted are all there."""
    for each in (accepted := callbacks(400)):
        inbox.put(each)
    old, taken, refused = stand.master_of(stream_names()[0]), list[Callback](), 0
    old.kill()
    number, end = 400, time.monotonic() + 1.5  # before the failover, which takes 3 s
    while time.monotonic() < end:
        [each] = callbacks(1, number)
        number += 1
        try:
            inbox.put(each)
            accepted.append(each)
        except InboxUnavailable:
            refused += 1
        batch = inbox.next_batch(50, idle=20)
        inbox.ack(batch)
        taken += (entry.callback for entry in batch)
    served = len(taken)
    stand.await_failover(stream_names()[0], old)
    until(lambda: inbox.lag() >= 0, 10)  # this client knows the new master
    taken += drained(inbox)

    assert served > 0, "streams on the other nodes"
    assert refused <= len(stream_names()[:STREAMS]), "each stream may fail once or twice"
    assert set(taken) >= set(accepted)
