"""HTTP connections to a provider: kept for a short rest, and aware of whether a request was sent.

A NAT or a load balancer drops connections that rest for minutes, often without a word: the next
request on one is written, and whether it arrived cannot be told. So none is used that rested long.
"""

import socket
import threading
import time
from functools import partial
from typing import Any, Final

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# Seconds. The shortest idle time-outs in common use: 60 s (load balancers), 240 s (NAT gateways).
REST: Final = 30.0
# A peer that vanished is noticed within a minute; those that macOS does not have are left out.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
_SOCKET_OPTIONS: Final = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEPALIVE
        if hasattr(socket, name)
    ),
]


class RequestNotSent(Exception):
    """The head of the request was not written to any connection: no server can have acted on it."""


class _Progress(threading.local):
    """What is known of the request that this thread makes."""

    sent = False


_progress: Final = _Progress()


class _Connection(HTTPConnection):
    """Notes when the head of a request is written; what opens a connection is no request."""

    rests_since = 0.0
    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None and self.auto_open:
            self.connect()
        # The head is one piece. If the first write raises, no server has the end of the head.
        super().send(data)
        if not self._connecting:
            _progress.sent = True


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    """Closes a connection that rested too long; urllib3 opens it again, as a dropped one."""

    ConnectionCls = _Connection

    def __init__(self, *args: Any, rest: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rest = rest

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.rests_since = time.time()
        super()._put_conn(conn)

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        # By the wall clock: a monotonic one stands still while the machine is suspended.
        if not conn.is_closed and not 0 <= time.time() - conn.rests_since < self._rest:
            conn.close()
        return conn


class _SecurePool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """Sends requests over such connections, each once."""

    def __init__(self, connections: int, rest: float) -> None:
        """Take how many connections are kept at most, and for how many seconds."""
        self._classes: dict[str, Any] = {
            "http": partial(_Pool, rest=rest),
            "https": partial(_SecurePool, rest=rest),
        }
        # No retries here: whether a send may be repeated is decided in flows/sending.
        super().__init__(pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools for connections without a proxy."""
        super().init_poolmanager(*args, **kwargs, socket_options=_SOCKET_OPTIONS)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the pools for connections through a proxy. Raises InvalidProxyURL."""
        if proxy.lower().startswith("socks"):
            raise InvalidProxyURL("SOCKS proxies are not supported; name an HTTP proxy")
        options = {**proxy_kwargs, "socket_options": _SOCKET_OPTIONS}
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._classes
        return manager

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request. Raises RequestNotSent, or RequestException when it may have arrived."""
        _progress.sent = False
        try:
            response = super().send(request, *args, **kwargs)
        except Exception as error:
            if _progress.sent:
                raise
            raise RequestNotSent(_named(error)) from error
        if not _progress.sent:
            # The server answered and closed before the request was written, as after a rest.
            response.close()
            raise RequestNotSent("ConnectionClosed")
        return response


def _named(error: BaseException) -> str:
    """Return the types of an error and of its first cause; their texts may hold passwords."""
    first = error
    while first.__context__ is not None:
        first = first.__context__
    return ": ".join(dict.fromkeys((type(error).__name__, type(first).__name__)))
