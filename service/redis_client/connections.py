"""Connect to Redis: to a server, to the master that Sentinels name, or to a cluster."""

from typing import Any, Final, cast

from redis import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.connection import UnixDomainSocketConnection

from service.redis_client.closing import closing
from service.redis_client.cluster import ClusterClient
from service.redis_client.sentinel import master_pool
from service.redis_client.url import RedisAddress

# Of one client in one process, in a cluster to each node: more than a process has threads that use
# Redis.
MAX_CONNECTIONS: Final = 64


def connect(address: RedisAddress, timeout: float) -> Redis:
    """Return a client that waits up to `timeout` seconds for a connection, and for an answer.

    It connects at its first command. That of a cluster has the commands of RedisCluster, and reads
    the list of nodes in the background.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry": None,
        "protocol": 2,  # the same shape of answers from every server version
        "max_connections": MAX_CONNECTIONS,
        **({} if address.path else {"socket_keepalive": True}),
        **address.client_options(),
    }
    if address.is_cluster:
        return cast(Redis, ClusterClient(address, options))
    if address.master_name:
        return Redis(connection_pool=master_pool(address, {**options, "timeout": timeout}))
    kind = Connection if address.tls is None else SSLConnection
    pool = BlockingConnectionPool(
        timeout=cast(int, timeout),
        connection_class=closing(UnixDomainSocketConnection if address.path else kind),
        **options,
    )
    return Redis(connection_pool=pool)
