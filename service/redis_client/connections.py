"""Connect to Redis: bounded pools, whose connections close on failures and on replicas."""

from typing import Any, Final, cast

from redis import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.connection import AbstractConnection, UnixDomainSocketConnection
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ReadOnlyError,
    ResponseError,
)
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.utils import SENTINEL

from service.redis_client.cluster import connect_to_cluster
from service.redis_client.url import RedisAddress

# Of one client in one process: more than a process has threads that use Redis.
MAX_CONNECTIONS: Final = 64
# MasterDownError is a ClusterDownError, MovedError an AskError.
_UNAVAILABLE: Final = (ReadOnlyError, BusyLoadingError, ClusterDownError, AskError)


def is_unavailable(error: BaseException | None) -> bool:
    """Return whether a server answered that it is not the master, or not ready."""
    return isinstance(error, _UNAVAILABLE) or (
        isinstance(error, ResponseError) and "NOREPLICAS" in str(error)
    )


class _Closing(AbstractConnection):
    """Closes itself on a failure, and when the server answers that it cannot serve.

    A master that became a replica keeps its connections open; the next use must resolve the name
    again. redis-py's Sentinel connection stays open after a time-out, and the late answer would be
    read as that of the next command.
    """

    def read_response(
        self,
        disable_decoding: bool = False,
        *,
        timeout: Any = SENTINEL,
        disconnect_on_error: bool = True,
        push_request: bool = False,
    ) -> Any:
        del disconnect_on_error  # always
        try:
            return super().read_response(
                disable_decoding, timeout=timeout, push_request=push_request,
                disconnect_on_error=True,
            )  # fmt: skip
        except ResponseError as error:
            if is_unavailable(error):
                self.disconnect()  # type: ignore[no-untyped-call]
            raise


def closing(connection_class: Any) -> Any:
    """Return a subclass of a connection class that closes itself."""
    if issubclass(connection_class, _Closing):
        return connection_class
    return type(f"Closing{connection_class.__name__}", (_Closing, connection_class), {})


def connect(address: RedisAddress, timeout: float) -> Redis:
    """Return a client that waits up to `timeout` seconds for a connection, and for an answer.

    The client of a cluster is a RedisCluster, which has the same commands.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry": None,
        "protocol": 2,  # the same shape of answers from every server version
        **({} if address.path else {"socket_keepalive": True}),
        **address.client_options(),
    }
    if address.is_cluster:
        return cast(Redis, connect_to_cluster(address.nodes, options, tls=address.tls is not None))
    if address.master_name:
        return connect_by_sentinel(address, options)
    kind = Connection if address.tls is None else SSLConnection
    pool = BlockingConnectionPool(
        max_connections=MAX_CONNECTIONS,
        timeout=cast(int, timeout),
        connection_class=closing(UnixDomainSocketConnection if address.path else kind),
        **options,
    )
    return Redis(connection_pool=pool)


def connect_by_sentinel(address: RedisAddress, options: dict[str, Any]) -> Redis:
    """Return a client of the master that these Sentinels name."""
    kind = SentinelManagedConnection if address.tls is None else SentinelManagedSSLConnection
    short = {name: options[name] for name in ("socket_connect_timeout", "socket_timeout", "retry")}
    sentinel = Sentinel(address.nodes, sentinel_kwargs={**short, "protocol": 2})
    pool = SentinelConnectionPool(
        address.master_name,
        sentinel,
        max_connections=MAX_CONNECTIONS,
        connection_class=closing(kind),
        **options,
    )
    return Redis(connection_pool=pool)
