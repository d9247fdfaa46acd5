"""A stand of RabbitMQ: one node or a cluster on loopback, from the files of its Debian package."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Final

import pytest

from tests.cluster.servers import Server, end, output_of, until, unused_port

_CONFIGURATION: Final = """listeners.tcp.1 = 127.0.0.1:{port}
loopback_users = none
vm_memory_high_watermark.absolute = 400MB
disk_free_limit.absolute = 50MB
queue_leader_locator = balanced
"""
_LOOPBACK: Final = "-kernel inet_dist_use_interface {127,0,0,1}"
_START_SECONDS: Final = 90.0  # 6 to 17 s on an idle machine


class RabbitNode(Server):
    """One node; its directory keeps its queues over a restart."""

    def __init__(self, home: Path, number: int, epmd_port: int) -> None:
        directory, port = home / f"node-{number}", unused_port()
        directory.mkdir()
        self.name = f"waybill{number}@localhost"
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        (directory / "plugins").write_text("[].\n")
        (directory / "rabbitmq.conf").write_text(_CONFIGURATION.format(port=port))
        environment = _environment(home, directory, port, epmd_port) | {
            "RABBITMQ_NODENAME": self.name
        }
        self._starts = 0
        command = [str(_programs() / "rabbitmq-server")]
        super().__init__(command, directory, port=port, environment=environment)

    def start(self, *more: str) -> None:
        """Start the node without waiting for it, so that several can start together."""
        self._starts = self._completed_starts()
        super().start(*more)

    def await_start(self) -> None:
        """Wait until the node has started; its port is open before its queues are there."""
        until(self._has_started, _START_SECONDS)

    def control(self, *words: str) -> str:
        """Run `rabbitmqctl` on this node; return its output."""
        command = [str(_programs() / "rabbitmqctl"), "-q", "-n", self.name, *words]
        return output_of(command, 90, env=self._environment)

    def _has_started(self) -> bool:
        assert self.is_running, self.log.read_text()
        return self._completed_starts() > self._starts

    def _completed_starts(self) -> int:
        text = self.log.read_text() if self.log.exists() else ""
        return len(re.findall(r"^ *Starting broker\.\.\. completed", text, re.MULTILINE))


class RabbitStand:
    """Nodes of one cluster, and a name server of Erlang for them alone."""

    def __init__(self, directory: Path, nodes: int = 1) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        cookie = directory / ".erlang.cookie"
        cookie.write_text("WAYBILLTESTS")
        cookie.chmod(0o400)
        self._epmd = _name_server(directory)
        self.nodes = [RabbitNode(directory, n, self._epmd.port) for n in range(nodes)]

    @property
    def url(self) -> str:
        """Return the URL of the first node."""
        return self.nodes[0].url

    def start(self) -> None:
        """Start the nodes together and join them to one cluster."""
        self._epmd.start()
        until(lambda: create_connection(("127.0.0.1", self._epmd.port), 1).close() is None, 10)
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.await_start()
        for node in self.nodes[1:]:
            node.control("stop_app")
            node.control("join_cluster", self.nodes[0].name)
            node.control("start_app")

    def restart(self, node: RabbitNode) -> None:
        """Start a killed node again and wait until it takes connections."""
        node.start()
        node.await_start()

    def end(self) -> None:
        """End all nodes and the name service."""
        end([*self.nodes, self._epmd])


@contextmanager
def rabbitmq(
    directory: Path, nodes: int = 1, prepare: Callable[[RabbitStand], None] = lambda _stand: None
) -> Iterator[RabbitStand]:
    """Run the stand, or skip the test without RabbitMQ. `prepare` may change its settings."""
    _programs()
    stand = RabbitStand(directory, nodes)
    try:
        prepare(stand)
        stand.start()
        yield stand
    finally:
        stand.end()


def _programs() -> Path:
    """Return the directory of RabbitMQ's own scripts, which switch no user."""
    directories = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    if not directories:
        pytest.skip(
            "RabbitMQ is not installed: run tests/install-tools rabbitmq"
            " or apt-get install --no-install-recommends rabbitmq-server"
        )
    return directories[-1]


def _name_server(directory: Path) -> Server:
    """Return a name server of Erlang; a node that misses it starts one that outlives the node."""
    port = unused_port()
    command = ["epmd", "-address", "127.0.0.1", "-port", str(port)]
    return Server(command, directory, port=port)


def _environment(home: Path, directory: Path, port: int, epmd_port: int) -> dict[str, str]:
    return {
        **os.environ,
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(unused_port()),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK,
        # One scheduler that does not spin: the tests have two cores.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_LOOPBACK} +S 1:1 +sbwt none",
    }
