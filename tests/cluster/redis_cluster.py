"""A stand of Valkey Cluster: three masters with a replica each, on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from redis import RedisCluster
from redis.cluster import ClusterNode
from redis.crc import key_slot
from redis.exceptions import ResponseError

from tests.cluster.servers import ValkeyServer, end, until, unused_port

SLOTS: Final = 16384
MASTERS: Final = 3
_OPTIONS: Final = (
    *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
    *("--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"),
    *("--appendonly", "yes", "--repl-diskless-sync-delay", "0"),
)
_MIGRATED_KEYS: Final = 100


class ClusterServer(ValkeyServer):
    """One node of the cluster; its directory keeps its id and slots over a restart."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.bus_port = unused_port()
        super().__init__(directory, *_OPTIONS, "--cluster-port", str(self.bus_port), *options)

    @property
    def id(self) -> str:
        """Return the id of the node in the cluster."""
        return str(self.command("CLUSTER", "MYID"))

    @property
    def is_master(self) -> bool:
        """Report whether the node says that it is a master."""
        return bool(self.command("ROLE")[0] == "master")

    def state(self) -> dict[str, str]:
        """Return what CLUSTER INFO says."""
        answer = self.command("CLUSTER", "INFO")
        lines = answer.splitlines() if isinstance(answer, str) else []
        return dict(answer) if isinstance(answer, dict) else dict(x.split(":", 1) for x in lines)


class ClusterStand:
    """Six nodes; the first three start as masters of a third of the slots each."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.nodes = [ClusterServer(directory / f"node-{n}", *options) for n in range(2 * MASTERS)]

    @property
    def url(self) -> str:
        """Return the URL for the settings of Waybill."""
        return "cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:MASTERS])

    @property
    def running(self) -> list[ClusterServer]:
        """Return the nodes that are not killed."""
        return [node for node in self.nodes if node.is_running]

    @property
    def masters(self) -> list[ClusterServer]:
        """Return the nodes that run and say that they are masters."""
        return [node for node in self.running if node.is_master]

    def client(self, **options: Any) -> RedisCluster:
        """Return a client of the whole cluster."""
        start = [ClusterNode("127.0.0.1", node.port) for node in self.running]
        return RedisCluster(startup_nodes=start, protocol=2, **options)  # type: ignore[abstract]

    def start(self) -> None:
        """Start the nodes and make a cluster of them."""
        for node in self.nodes:
            node.start()
        for index, node in enumerate(self.nodes[:MASTERS]):
            low, high = (SLOTS * n // MASTERS for n in (index, index + 1))
            node.command("CLUSTER", "ADDSLOTSRANGE", low, high - 1)
            node.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for node in self.nodes[1:]:
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        until(lambda: all(self._knows_all(node) for node in self.nodes), 30)
        for master, replica in zip(self.nodes[:MASTERS], self.nodes[MASTERS:], strict=True):
            until(lambda m=master, r=replica: r.command("CLUSTER", "REPLICATE", m.id), 30)  # type: ignore[misc]
        self.await_ready()

    def await_ready(self, seconds: float = 30) -> None:
        """Wait until each node is up, all slots are served, and each master has its replica."""
        until(self._is_ready, seconds)

    def slot_of(self, key: str) -> int:
        """Return the slot of a key."""
        return key_slot(key.encode())  # type: ignore[no-untyped-call, no-any-return]

    def master_of(self, key: str) -> ClusterServer:
        """Return the node that serves a key, as the other nodes know it."""
        return self._master_of_slot(self.slot_of(key))

    def replica_of(self, master: ClusterServer) -> ClusterServer:
        """Return the replica of a master. Raises StopIteration when it has none."""
        found = (node.port for node in self.running if node.command("ROLE")[0] == "slave")
        ports = [p for p in found if self._node(p).command("ROLE")[2] == master.port]
        return next(self._node(port) for port in ports)

    def restart(self, node: ClusterServer) -> None:
        """Start a killed node again; after a failover it becomes the replica of its successor."""
        node.start()

    def await_failover(self, key: str, old: ClusterServer, seconds: float = 20) -> float:
        """Wait until all running nodes name another master than `old` for a key."""
        return until(lambda: self._has_new_master(self.slot_of(key), old), seconds)

    def fail_over(self, key: str) -> float:
        """Let the replica of a key's master take its place without loss; return the seconds."""
        old = self.master_of(key)
        self.replica_of(old).command("CLUSTER", "FAILOVER")
        return self.await_failover(key, old)

    def move_slot(self, slot: int, target: ClusterServer) -> None:
        """Move a slot key by key, while traffic goes on: clients see ASK, then MOVED."""
        source = self._master_of_slot(slot)
        if source is target:
            return
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        self._migrate_keys(slot, source, target)
        for node in (target, source, *self.masters):
            with suppress(ResponseError):  # a master may know it by now
                node.command("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def _migrate_keys(self, slot: int, source: ClusterServer, target: ClusterServer) -> None:
        to = ("127.0.0.1", target.port, "", 0, 5000, "KEYS")
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, _MIGRATED_KEYS):
            source.command("MIGRATE", *to, *keys)

    def _node(self, port: int) -> ClusterServer:
        return next(node for node in self.nodes if node.port == port)

    def _master_of_slot(self, slot: int) -> ClusterServer:
        for low, high, (_, port, *_), *_ in self.running[0].command("CLUSTER", "SLOTS"):
            if low <= slot <= high:
                return self._node(port)
        raise LookupError(f"no node serves slot {slot}")

    def _has_new_master(self, slot: int, old: ClusterServer) -> bool:
        named = {
            port
            for node in self.running
            for low, high, (_, port, *_), *_ in node.command("CLUSTER", "SLOTS")
            if low <= slot <= high
        }
        return len(named) == 1 and old.port not in named

    def _knows_all(self, node: ClusterServer) -> bool:
        return node.state()["cluster_known_nodes"] == str(len(self.nodes))

    def _is_ready(self) -> bool:
        states = [node.state() for node in self.nodes]
        replicas = [node for node in self.nodes if not node.is_master]
        return (
            all(s["cluster_state"] == "ok" for s in states)
            and all(s["cluster_slots_ok"] == str(SLOTS) for s in states)
            and len(replicas) == MASTERS
            and all(r.replication()["master_link_status"] == "up" for r in replicas)
        )


@contextmanager
def redis_cluster(directory: Path, *options: str) -> Iterator[ClusterStand]:
    """Run the stand; `options` are further options of each node."""
    stand = ClusterStand(directory, *options)
    try:
        stand.start()
        yield stand
    finally:
        end(stand.nodes)
