"""A client of a Redis Cluster that reads the list of nodes in the background."""

import hashlib
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, ClusterPipeline, NodesManager, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, SlotNotCoveredError
from redis.retry import Retry

from service.redis_client.background_run import BackgroundRun
from service.redis_client.url import RedisAddress

# Seconds between the starts of two refreshes of the list of nodes.
_REFRESH_INTERVAL: Final = 0.25


class ClusterUnavailable(RedisConnectionError):
    """No node answers, or none serves the slot of a key."""


def unavailable(error: RedisClusterException) -> Exception:
    """Return the RedisError for an error of redis-py that is none: no node, or none for a slot.

    Errors in the use of a cluster, such as keys of two slots in one transaction, stay as they are.
    """
    if type(error) in (RedisClusterException, SlotNotCoveredError):
        return ClusterUnavailable(str(error))
    return error


class _Pipeline(ClusterPipeline):
    def execute(self, raise_on_error: bool = True) -> list[Any]:
        try:
            return list(super().execute(raise_on_error))
        except RedisClusterException as error:
            raise unavailable(error) from error


class _Cluster(RedisCluster):
    """Raises RedisError where redis-py raises an error that is none."""

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().execute_command(*args, **kwargs)  # type: ignore[no-untyped-call]
        except RedisClusterException as error:
            raise unavailable(error) from error

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        pipe: ClusterPipeline = super().pipeline(transaction, shard_hint)  # type: ignore[no-untyped-call]
        pipe.__class__ = _Pipeline  # redis-py has no other way to choose it
        return pipe


class ClusterClient:
    """Has the commands of RedisCluster, whose start waits for the nodes; this one does not.

    After a failure redis-py asks one node after the other for the new list before it raises: with
    six nodes that do not answer, a command waits seven times its time-out, and each thread waits
    for the others. So here the list is refreshed in the background.
    """

    def __init__(self, address: RedisAddress, options: dict[str, Any]) -> None:
        """Use keyword arguments of a connection; `socket_timeout` also bounds the first wait."""
        # RedisCluster refuses to be given these two.
        self.options = {name: options[name] for name in options.keys() - {"db", "retry"}}
        self.options["ssl"] = address.tls is not None
        self._nodes = address.nodes
        self._cluster: _Cluster | None = None
        self._refresh = BackgroundRun(self._read_nodes, _REFRESH_INTERVAL)
        reference = weakref.WeakMethod(self._reset)
        # A forked process must not share a socket or a lock with its parent.
        os.register_at_fork(after_in_child=lambda: (reset := reference()) and reset())
        # Now, so that the first callback of a process finds the list: it would wait for 0.2 s, and
        # with a busy machine go to the overflow.
        self.refresh()

    @property
    def cluster(self) -> RedisCluster:
        """The client of redis-py. Raises ClusterUnavailable while no node answers."""
        if self._cluster is None:
            self._refresh.request().wait(self.options["socket_timeout"])
        if self._cluster is None:
            raise ClusterUnavailable("no node of the cluster answers")
        return self._cluster

    def owner(self, slot: int) -> tuple[str, int]:
        """Return host and port of the master of a slot. Raises ClusterUnavailable."""
        try:
            node = self.cluster.nodes_manager.get_node_from_slot(slot)
        except SlotNotCoveredError as error:
            self.refresh()
            raise ClusterUnavailable(str(error)) from error
        return str(node.host), int(node.port)

    def refresh(self, *_: Any, **__: Any) -> None:
        """Read the list of nodes again, in the background."""
        self._refresh.request()

    def register_script(self, script: str | bytes) -> Callable[..., Any]:
        """Return a function of keys and arguments that runs a script, and loads it where it runs.

        That of redis-py loads it on all masters, and fails while one of them is down.
        """
        text = script if isinstance(script, bytes) else script.encode()
        digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()

        def run(keys: Sequence[Any], args: Sequence[Any]) -> Any:
            try:
                return self.cluster.evalsha(digest, len(keys), *keys, *args)
            except NoScriptError:
                return self.cluster.eval(cast(str, text), len(keys), *keys, *args)

        return run

    def close(self) -> None:
        """Close all connections."""
        if self._cluster is not None:
            self._cluster.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    def _read_nodes(self) -> None:
        try:
            if self._cluster is not None:
                NodesManager.initialize(self._cluster.nodes_manager)
                return
            cluster = _Cluster(
                startup_nodes=[ClusterNode(*node) for node in self._nodes],
                require_full_coverage=False,
                # A second try would store a callback twice if only its answer was lost.
                retry=Retry(NoBackoff(), 0),
                **self.options,
            )
        except (RedisError, RedisClusterException, OSError):
            return  # the next failure of a command tries again
        cluster.nodes_manager.initialize = self.refresh  # type: ignore[method-assign]
        self._cluster = cluster

    def _reset(self) -> None:
        self._cluster = None
