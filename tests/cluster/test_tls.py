"""Waybill reaches a Sentinel, a cluster and RabbitMQ over TLS, and refuses strangers."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import kombu.pools
import pytest
import trustme
from redis import Redis

from service.app import create_app
from service.components import Components
from service.errors import InboxUnavailable
from service.inbox.inbox import Inbox
from service.task_queue import queue
from tests.cluster.rabbitmq import RabbitStand, rabbitmq
from tests.cluster.sentinel import NAME
from tests.cluster.servers import Server, end, until, unused_port
from tests.conftest import make_settings
from tests.service.coordination.test_circuit_breaker import CALLBACK

pytestmark = pytest.mark.cluster

_SENTINEL = """tls-port {port}
port 0
bind 127.0.0.1
dir {directory}
tls-replication yes
tls-cert-file {directory}/server.pem
tls-key-file {directory}/server.pem
tls-ca-cert-file {directory}/ca.pem
tls-auth-clients no
sentinel monitor {name} 127.0.0.1 {master} 1
"""
_RABBITMQ = """listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {directory}/ca.pem
ssl_options.certfile = {directory}/server.pem
ssl_options.keyfile = {directory}/server.pem
ssl_options.verify = verify_none
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a certificate for 127.0.0.1, its authority, and a foreign authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "stranger.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "server.pem"
    )
    return tmp_path


def tls_server() -> str:
    """Return a server that was built with TLS; the one of the Python package was not."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: run tests/install-tools rabbitmq")
    return program


def server(place: Path, port: int, *options: str) -> Server:
    files = ("--tls-cert-file", "--tls-key-file")
    command = [
        *(tls_server(), "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1"),
        *(word for name in files for word in (name, str(place / "server.pem"))),
        *("--tls-ca-cert-file", str(place / "ca.pem"), "--tls-auth-clients", "no"),
        *("--save", "", "--dir", str(place), *options),
    ]
    return Server(command, place, port=port)


def client(place: Path, port: int) -> Redis:
    return Redis(port=port, host="127.0.0.1", ssl=True, ssl_ca_certs=str(place / "ca.pem"))


def bound(**settings: str) -> Components:
    values = make_settings("sqlite:///unused.db", "redis://127.0.0.1:1/0", **settings)
    app = create_app(values, providers={})
    components: Components = app.extensions["waybill"]
    return components


@pytest.fixture
def sentinel(place: Path) -> Iterator[Callable[[str], str]]:
    """The URL of a Sentinel and its master, both with TLS only, by the authority to trust."""
    master, port = server(place, unused_port()), unused_port()
    text = _SENTINEL.format(port=port, directory=place, name=NAME, master=master.port)
    (place / "sentinel.conf").write_text(text)
    command = [tls_server(), str(place / "sentinel.conf"), "--sentinel"]
    watcher = Server(command, place, port=port)
    try:
        master.start()
        until(lambda: client(place, master.port).ping(), 5)
        watcher.start()
        until(lambda: client(place, port).ping(), 15)
        yield lambda ca: f"sentinels://127.0.0.1:{port}/{NAME}/0?ssl_ca_certs={place}/{ca}.pem"
    finally:
        end([watcher, master])


@pytest.fixture
def cluster(place: Path) -> Iterator[Callable[[str], str]]:
    """The URL of a cluster of one node with TLS only, by the authority to trust."""
    port, bus = unused_port(), unused_port()
    options = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", str(bus))
    node = server(place, port, *options)
    try:
        node.start()
        with client(place, port) as redis:
            until(redis.ping, 15)
            redis.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            until(lambda: redis.set("ready", 1), 15)
        yield lambda ca: f"clusters://127.0.0.1:{port}?ssl_ca_certs={place}/{ca}.pem"
    finally:
        end([node])


@pytest.fixture
def broker(place: Path) -> Iterator[Callable[[str], str]]:
    """The URL of a RabbitMQ with a TLS port, by the authority to trust."""
    port = unused_port()

    def secure(stand: RabbitStand) -> None:
        file = stand.nodes[0].directory / "rabbitmq.conf"
        file.write_text(file.read_text() + _RABBITMQ.format(port=port, directory=place))

    with rabbitmq(place / "rabbitmq", prepare=secure):
        yield lambda ca: f"amqps://guest:guest@127.0.0.1:{port}//?ssl_ca_certs={place}/{ca}.pem"


def is_stored(inbox: Inbox) -> bool:
    try:
        inbox.put(CALLBACK)
    except InboxUnavailable:
        return False
    return True


@pytest.mark.parametrize("stand", ["sentinel", "cluster"])
def test_callback_is_stored_over_tls(request: pytest.FixtureRequest, stand: str) -> None:
    url = request.getfixturevalue(stand)
    inbox = bound(INBOX_URL=url("ca")).inbox
    # On a busy machine a handshake takes longer than a callback waits.
    until(lambda: is_stored(inbox), 60)
    stored = inbox.lag()

    assert not is_stored(bound(INBOX_URL=url("stranger")).inbox)
    assert inbox.lag() == stored > 0


@pytest.mark.parametrize("stand", ["sentinel", "broker"])
def test_task_is_requested_over_tls(request: pytest.FixtureRequest, stand: str) -> None:
    url = request.getfixturevalue(stand)
    assert not bound(BROKER_URL=url("stranger")).queue.enqueue(queue.CONSUME_INBOX)
    kombu.pools.reset()  # they would use the connections of the same address again
    assert bound(BROKER_URL=url("ca")).queue.enqueue(queue.CONSUME_INBOX)
