"""Keeps idle connections for the next call to the same host."""

import time
from collections import OrderedDict, defaultdict
from threading import Lock
from typing import Final

from service.providers.connections import MAX_IDLE
from service.webhook_client.connection import Connection

Key = tuple[str, str, int]

# Seconds after which a connection is not used again: the host may have moved to other addresses.
_MAX_AGE: Final = 60.0


class IdleConnections:
    """A bounded number of idle connections to all hosts together; the oldest is closed first."""

    def __init__(self, most: int, max_idle: float = MAX_IDLE) -> None:
        self._most = most
        self._max_idle = max_idle
        self._oldest_first = OrderedDict[Connection, None]()
        self._by_host = defaultdict[Key, list[Connection]](list)
        self._lock = Lock()

    def take(self, key: Key) -> Connection | None:
        """Return a usable connection to a host, if there is one."""
        while True:
            with self._lock:
                kept = self._by_host.get(key)
                if not kept:
                    return None
                connection = self._remove(kept[-1])
            if self._is_usable(connection) and not connection.is_stale():
                return connection
            connection.close()

    def put(self, connection: Connection) -> None:
        """Keep a connection whose answer was read."""
        connection.idle_since = time.time()
        with self._lock:
            self._oldest_first[connection] = None
            self._by_host[connection.key].append(connection)
            surplus = self._surplus()
        for each in surplus:
            each.close()

    def _surplus(self) -> list[Connection]:
        surplus = []
        while self._oldest_first:
            oldest = next(iter(self._oldest_first))
            if len(self._oldest_first) <= self._most and self._is_usable(oldest):
                break
            surplus.append(self._remove(oldest))
        return surplus

    def _remove(self, connection: Connection) -> Connection:
        del self._oldest_first[connection]
        kept = self._by_host[connection.key]
        kept.remove(connection)
        if not kept:
            del self._by_host[connection.key]
        return connection

    def _is_usable(self, connection: Connection) -> bool:
        # Wall-clock time: the monotonic clock stops while the machine is suspended.
        now = time.time()
        return (
            0 <= now - connection.idle_since < self._max_idle
            and 0 <= now - connection.opened_at < _MAX_AGE
        )
