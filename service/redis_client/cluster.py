"""A client of a Redis Cluster that connects at its first command."""

import threading
from collections.abc import Sequence
from typing import Any

from redis.cluster import ClusterNode, RedisCluster


class ClusterClient:
    """Has the commands of RedisCluster, which connects when it is made: a start must not wait."""

    def __init__(self, nodes: Sequence[tuple[str, int]], options: dict[str, Any]) -> None:
        self._nodes = nodes
        self._options = options
        self._lock = threading.Lock()
        self._cluster: RedisCluster | None = None

    @property
    def cluster(self) -> RedisCluster:
        """The client of redis-py. Raises RedisClusterException while no node answers."""
        with self._lock:
            if self._cluster is None:
                nodes = [ClusterNode(*node) for node in self._nodes]
                self._cluster = RedisCluster(
                    startup_nodes=nodes, require_full_coverage=False, **self._options
                )
        return self._cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)


def connect_to_cluster(
    nodes: Sequence[tuple[str, int]], options: dict[str, Any], *, tls: bool
) -> ClusterClient:
    """Return a client of the cluster with these nodes."""
    del options["db"]
    return ClusterClient(nodes, {**options, "ssl": tls})
