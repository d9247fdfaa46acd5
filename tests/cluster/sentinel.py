"""A stand of Sentinel: one master, two replicas and three Sentinels on loopback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.sentinel import Sentinel

from demo.servers import server_binary
from tests.cluster.servers import Server, ValkeyServer, end, until, unused_port

NAME: Final = "waybill"
# With the default delay of 5 s every replica would wait so long for its first copy.
_FAST: Final = ("--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--repl-timeout", "5")
_CONFIGURATION: Final = """port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor {name} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 3000
sentinel parallel-syncs {name} 1
"""
# One socket may not hang longer than this: the next Sentinel is asked.
_SHORT: Final = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": None, "protocol": 2}

Link = Callable[[int], int]


class SentinelServer(ValkeyServer):
    """One Sentinel; it writes what it learns to its configuration file."""

    def __init__(self, directory: Path, master: int) -> None:
        directory.mkdir(parents=True)
        port, file = unused_port(), directory / "sentinel.conf"
        text = _CONFIGURATION.format(port=port, directory=directory, name=NAME, master=master)
        file.write_text(text)
        command = [server_binary(), str(file), "--sentinel"]
        Server.__init__(self, command, directory, port=port)

    def state(self) -> dict[str, Any]:
        """Return what this Sentinel says about the master."""
        words = self.command("SENTINEL", "MASTER", NAME)
        return words if isinstance(words, dict) else dict(zip(words[::2], words[1::2], strict=True))


class SentinelStand:
    """Servers whose master Sentinel replaces when it is lost.

    `link` maps the port of a server to the port by which its replicas reach it, such as that of a
    proxy that delays and cuts. Replicas use it until Sentinel gives them another master.
    """

    def __init__(self, directory: Path, *options: str, link: Link = lambda port: port) -> None:
        self._link = link
        self.nodes = [ValkeyServer(directory / f"node-{n}", *_FAST, *options) for n in range(3)]
        master = self.nodes[0].port
        self.sentinels = [SentinelServer(directory / f"sentinel-{n}", master) for n in range(3)]

    @property
    def url(self) -> str:
        """Return the URL of database 0 for the settings of Waybill."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.sentinels)
        return f"sentinel://{hosts}/{NAME}/0"

    @property
    def master(self) -> ValkeyServer:
        """Return the server that the Sentinels name as master."""
        port = self._sentinel().discover_master(NAME)[1]
        return next(node for node in self.nodes if node.port == port)

    @property
    def replicas(self) -> list[ValkeyServer]:
        """Return the other servers, also those that are down."""
        master = self.master
        return [node for node in self.nodes if node is not master]

    def client(self, **options: Any) -> Redis:
        """Return a client that asks the Sentinels for the master at each new connection."""
        return self._sentinel().master_for(NAME, **{**_SHORT, **options})

    def start(self) -> None:
        """Start all servers and wait until the Sentinels know them."""
        self.nodes[0].start()
        for replica in self.nodes[1:]:
            replica.start("--replicaof", "127.0.0.1", str(self._link(self.nodes[0].port)))
        for sentinel in self.sentinels:
            sentinel.start()
        self.await_ready()

    def await_ready(self, seconds: float = 30) -> None:
        """Wait until each server is up, replicates, and is known to each Sentinel."""
        until(self._is_ready, seconds)

    def restart(self, server: ValkeyServer) -> None:
        """Start a killed server again, as replica of today's master.

        On its own it would be a master for about 11 s, until the Sentinels demote it.
        """
        master = self.master.port
        more = ("--replicaof", "127.0.0.1", str(self._link(master))) if server in self.nodes else ()
        server.start(*more)

    def await_failover(self, old: ValkeyServer, seconds: float = 20) -> float:
        """Wait until another server than `old` is master and takes writes; return the seconds."""

        def done() -> bool:
            master = self.master
            return master is not old and master.replication()["role"] == "master"

        return until(done, seconds)

    def fail_over(self, *, coordinated: bool = True) -> float:
        """Order a failover; return the seconds until another server is master.

        COORDINATED is of Valkey 9: the master stops taking writes before it hands over.
        """
        old = self.master
        words = ("COORDINATED",) if coordinated else ()
        self.sentinels[0].command("SENTINEL", "FAILOVER", NAME, *words)
        return self.await_failover(old)

    def _sentinel(self) -> Sentinel:
        addresses = [("127.0.0.1", server.port) for server in self.sentinels]
        return Sentinel(addresses, sentinel_kwargs=_SHORT)  # type: ignore[no-untyped-call]

    def _is_ready(self) -> bool:
        others = (str(len(self.nodes) - 1), str(len(self.sentinels) - 1))
        states = [server.state() for server in self.sentinels]
        return (
            all((str(s["num-slaves"]), str(s["num-other-sentinels"])) == others for s in states)
            and self.master.replication()["connected_slaves"] == len(self.nodes) - 1
            and all(r.replication()["master_link_status"] == "up" for r in self.replicas)
        )


@contextmanager
def sentinel_stand(
    directory: Path, *options: str, link: Link = lambda port: port
) -> Iterator[SentinelStand]:
    """Run the stand; `options` are further options of the servers, not of the Sentinels."""
    stand = SentinelStand(directory, *options, link=link)
    try:
        stand.start()
        yield stand
    finally:
        end([*stand.sentinels, *stand.nodes])
