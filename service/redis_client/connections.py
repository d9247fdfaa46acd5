"""Connections to Redis: bounded in number, and closed when they fail or lead to a replica.

`FastClient` is the short way for the one command of a callback. redis-py's pool looks at a
connection, measures and counts at each use: three quarters of what an XADD costs here.
"""

import os
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, cast

from hiredis import pack_command
from redis import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.connection import AbstractConnection, UnixDomainSocketConnection
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.utils import SENTINEL

from service.redis_client.url import RedisAddress

# Connections of one process for one purpose: more than a process has threads that use Redis.
_MOST: Final = 64
# Seconds after which a connection may have died unseen, and after which a NAT or a firewall may
# have forgotten it without a word to either side.
_RESTED: Final = 1.0
_LONGEST_REST: Final = 60.0
# MasterDownError is a ClusterDownError, MovedError an AskError.
_NOT_HERE: Final = (ReadOnlyError, BusyLoadingError, ClusterDownError, AskError)


class NoFreeConnection(RedisError):
    """All connections are in use. It says nothing about the server."""


def is_unavailable(error: BaseException | None) -> bool:
    """Tell whether a server answered that it is not, or not yet, the one to ask."""
    return isinstance(error, _NOT_HERE) or (
        isinstance(error, ResponseError) and "NOREPLICAS" in str(error)
    )


class _Closing(AbstractConnection):
    """Closes itself on a failure, and when the server answers that it is not the one to ask.

    An old master that became a replica keeps its connections open. The next use connects again,
    to wherever the name leads by then. A connection of Sentinel's stays open after a time-out
    unless told otherwise: the late answer would be taken for that of the next command.
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
    """Return a class of connections like this one that close themselves."""
    if issubclass(connection_class, _Closing):
        return connection_class
    return type(f"Closing{connection_class.__name__}", (_Closing, connection_class), {})


def connect(address: RedisAddress, timeout: float) -> Redis:
    """Return a client that waits `timeout` seconds at most: for a connection, and for an answer."""
    kind = Connection if address.tls is None else SSLConnection
    keepalive = {} if address.path else {"socket_keepalive": True}
    pool = BlockingConnectionPool(
        max_connections=_MOST,
        timeout=cast(int, timeout),
        connection_class=closing(UnixDomainSocketConnection if address.path else kind),
        socket_connect_timeout=timeout,
        socket_timeout=timeout,
        retry=None,
        protocol=2,  # one shape of answers from every server version
        **keepalive,
        **address.client_options(),
    )
    return Redis(connection_pool=pool)


class FastClient:
    """Sends commands one at a time, each over a connection that no thread owns."""

    def __init__(self, redis: Redis, most: int = _MOST, wait: float = 0.2) -> None:
        """Connect as `redis` does; wait for one of `most` connections `wait` seconds."""
        pool = redis.connection_pool
        self._make: Callable[[], Any] = partial(
            closing(pool.connection_class), **pool.connection_kwargs
        )
        self._most = most
        self._wait = wait
        self._reset()
        alive = weakref.WeakMethod(self._reset)
        # A forked process must not share a socket with its parent.
        os.register_at_fork(after_in_child=lambda: (reset := alive()) and reset())

    def call(self, *command: bytes | str | float) -> Any:
        """Send a command and return the answer. Raises RedisError."""
        packed = pack_command(cast(Any, command))  # its stub knows commands of one word only
        connection = self._take()
        try:
            if not connection.is_connected:
                connection.connect()  # one of Sentinel's asks here where the master is
            connection.send_packed_command([packed], check_health=False)
            return connection.read_response()
        except ResponseError:
            raise  # an answer: the connection can go on
        except BaseException:
            connection.disconnect()
            raise
        finally:
            self._free.append((time.monotonic(), connection))
            self._permits.put(None)

    def close(self) -> None:
        """Close the connections that are not in use; the next call connects again."""
        for _, connection in list(self._free):
            connection.disconnect()

    def _take(self) -> Any:
        try:
            self._permits.get(timeout=self._wait)
        except Empty:
            raise NoFreeConnection(f"{self._most} connections are in use") from None
        try:
            used_at, connection = (
                self._free.pop()
            )  # the last used: the others may rest and be closed
        except IndexError:
            return self._make()
        rested = time.monotonic() - used_at
        if rested > _LONGEST_REST or (rested > _RESTED and _is_stale(connection)):
            connection.disconnect()
        return connection

    def _reset(self) -> None:
        self._free = deque[tuple[float, Any]]()
        self._permits = SimpleQueue[None]()
        for _ in range(self._most):
            self._permits.put(None)


def _is_stale(connection: Any) -> bool:
    """Tell whether the server closed a connection, or sent what no command asked for."""
    try:
        return bool(connection.can_read())
    except (RedisError, OSError):
        return True
