"""Send single commands to the nodes of a Redis Cluster with less overhead than redis-py.

https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis_client.cluster import ClusterClient, ClusterUnavailable
from service.redis_client.fast_client import Argument, FastClient, answered, pack

# One for a slot that moved, one for a key that is just moving, two for nodes that disagree.
_MAX_TRIES: Final = 5
# Seconds until the next try while the keys of a command are on two nodes.
_TRY_AGAIN: Final = 0.01
_ASKING: Final = pack((b"ASKING",))


class FastCluster(FastClient):
    """Sends commands to the node of their key, over connections that are kept for each node."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._nodes = dict[tuple[str, int], FastClient]()
        self._owners = dict[int, FastClient]()  # by slot; a wrong one redirects

    def call(self, *command: Argument) -> Any:
        """Send a command, whose first argument is the key, and return the answer.

        Raises RedisError.
        """
        return answered(self._exchange(command[1], pack(command), 1))[0]

    def call_all(self, key: bytes | str, *commands: Sequence[Argument]) -> list[Any]:
        """Send commands about one key in one packet to its node and return their answers.

        Raises the first RedisError; the other commands were sent, too.
        """
        return answered(self._exchange(key, b"".join(map(pack, commands)), len(commands)))

    def close(self) -> None:
        """Close the connections that are not in use."""
        for node in list(self._nodes.values()):
            node.close()
        self._client.close()

    def _exchange(self, key: Argument, packed: bytes, count: int) -> list[Any]:
        slot, asking = key_slot(key if isinstance(key, bytes) else str(key).encode()), False
        node = self._owner(slot)
        for _ in range(_MAX_TRIES):
            try:
                answers = self._send(node, packed, count, asking)
            except (RedisConnectionError, RedisTimeoutError):
                self._forget()
                raise
            # A redirection of a later command does not count: the first would be executed twice.
            if isinstance(answers[0], MovedError):
                node, asking = self._node(answers[0]), False
                self._owners[slot] = node
            elif isinstance(answers[0], AskError):  # for this key; others of the slot did not move
                node, asking = self._node(answers[0]), True
            elif isinstance(answers[0], TryAgainError):
                time.sleep(_TRY_AGAIN)
            else:
                if isinstance(answers[0], ClusterDownError):
                    self._forget()
                return answers
        self._forget()
        raise ClusterUnavailable("redirected too often")

    def _send(self, node: FastClient, packed: bytes, count: int, asking: bool) -> list[Any]:
        if not asking:
            return node.exchange(packed, count)
        return node.exchange(_ASKING + packed, count + 1)[1:]

    def _owner(self, slot: int) -> FastClient:
        owner = self._owners.get(slot)
        if owner is None:
            owner = self._owners[slot] = self._at(self._client.owner(slot))
        return owner

    def _node(self, error: AskError) -> FastClient:
        return self._at((error.host, error.port))

    def _at(self, address: tuple[str, int]) -> FastClient:
        node = self._nodes.get(address)
        if node is None:
            place: dict[str, Any] = {"host": address[0], "port": address[1], "retry": None}
            redis = Redis(**self._client.options, **place)
            node = self._nodes.setdefault(address, FastClient(redis))
        return node

    def _forget(self) -> None:
        """Forget which node has which slot, and read it again."""
        self._owners.clear()
        self._client.refresh()


def fast_client(redis: Any) -> FastClient:
    """Return a fast client of the server or the cluster of a client."""
    return FastCluster(redis) if isinstance(redis, ClusterClient) else FastClient(redis)
