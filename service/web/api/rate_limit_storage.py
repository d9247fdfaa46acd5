"""The storage of rate limits: Redis over the client of the application.

The library's own storages connect when they are made, and each in its way.
"""

from typing import Any

from limits.storage import Storage
from limits.storage.redis import RedisStorage
from redis import Redis
from redis.exceptions import RedisError

SCHEME = "waybill"


class ClientStorage(RedisStorage):
    """Counts with the client of a server, of the master that Sentinels name, or of a cluster."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - read by the metaclass

    def __init__(self, uri: str, client: Redis, key_prefix: str, **_: Any) -> None:
        Storage.__init__(self, uri)  # RedisStorage's would make a client
        self.storage = client
        self.key_prefix = key_prefix
        self.initialize_storage(uri)

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return the base class of the client's errors."""
        return RedisError

    def check(self) -> bool:
        """Return whether Redis answers. PING would ask every node of a cluster, also replicas."""
        try:
            self.storage.exists(self.key_prefix)
        except RedisError:
            return False
        return True
