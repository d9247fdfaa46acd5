"""Connect to the master that Sentinels name, and leave it soon after they name another.

After a planned failover the old master keeps its connections and takes writes for some 11 s, which
are all lost. So the Sentinels are asked every second while the pool is in use.
"""

from typing import Any, Final, cast

from redis import BlockingConnectionPool
from redis.exceptions import RedisError
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from service.redis_client.background_run import BackgroundRun
from service.redis_client.closing import closing
from service.redis_client.url import RedisAddress

# Seconds between two questions for the address of the master.
_INTERVAL: Final = 1.0


class MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the master; a thread waits for one while all are in use."""

    def __init__(self, service_name: str, sentinel: Sentinel, **options: Any) -> None:
        self._question = BackgroundRun(self._ask, _INTERVAL)
        super().__init__(service_name, sentinel, **options)  # type: ignore[no-untyped-call]

    def get_connection(self, *words: Any, **options: Any) -> Any:
        """Return a connection to the master. Raises RedisError."""
        self._question.request()
        return BlockingConnectionPool.get_connection(self, *words, **options)

    def is_old(self, connection: Any) -> bool:
        """Return whether a connection is to another server than the last known master."""
        self._question.request()
        return bool((connection.host, connection.port) != self.master_address)

    def _ask(self) -> None:
        try:
            # It closes the idle connections if the address is another; those in use are closed
            # when they are returned.
            self.get_master_address()  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            return  # no Sentinel answers, or they have not agreed: keep the connections


def master_pool(address: RedisAddress, options: dict[str, Any]) -> MasterPool:
    """Return connections to the master that these Sentinels name."""
    kind = SentinelManagedConnection if address.tls is None else SentinelManagedSSLConnection
    short = {name: options[name] for name in ("socket_connect_timeout", "socket_timeout", "retry")}
    sentinel = Sentinel(
        address.nodes,
        sentinel_kwargs={**short, "protocol": 2, **address.sentinel_options()},
    )
    return MasterPool(
        address.master_name, sentinel, connection_class=closing(kind), **cast(Any, options)
    )
