"""HTTP connections to a provider that expire when idle and know whether a request was sent.

A NAT or a load balancer drops connections that are idle for minutes, often without notice: the next
request on one is written, and nobody can tell whether it arrived.
"""

import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from requests import Session
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_auth_from_url, select_proxy
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# Seconds. The shortest idle time-outs in common use: 60 s (load balancers), 240 s (NAT gateways).
MAX_IDLE: Final = 30.0
# TCP notices within a minute that a peer is gone. macOS lacks some of these options.
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
    """Whether the current request of this thread was sent."""

    sent = False


_progress: Final = _Progress()


class _Connection(HTTPConnection):
    """Notes when the head of a request is written; opening a connection or tunnel is no request."""

    idle_since = 0.0
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
        # The head is written in one call. If it raises, no server has the end of the head.
        super().send(data)
        if not self._connecting:
            _progress.sent = True


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    """Closes a connection that was idle too long; urllib3 then opens it again."""

    ConnectionCls = _Connection

    def __init__(self, *args: Any, max_idle: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_idle = max_idle

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.time()
        super()._put_conn(conn)

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        # Wall-clock time: the monotonic clock stops while the machine is suspended.
        if not conn.is_closed and not 0 <= time.time() - conn.idle_since < self._max_idle:
            conn.close()
        return conn


class _SecurePool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Connections:
    """Sends each request once, over kept connections to one address."""

    def __init__(self, address: str, connections: int, max_idle: float) -> None:
        """Keep at most `connections` connections, each idle for at most `max_idle` seconds."""
        self._make = partial(_pool_manager, address, connections, max_idle)
        self._manager: PoolManager | None = None
        self._lock = threading.Lock()

    def send(self, method: str, url: str, **options: Any) -> BaseHTTPResponse:
        """Send a request with these options of `PoolManager.request`.

        Raises RequestNotSent, or urllib3.HTTPError when the request may have arrived.
        """
        _progress.sent = False
        try:
            with self._lock:  # made here: an unusable proxy must fail the send, not the start
                manager = self._manager = self._manager or self._make()
            response = manager.request(
                method, url, **options, retries=False, redirect=False, preload_content=False
            )
        except Exception as error:
            if _progress.sent:
                raise
            raise RequestNotSent(_error_types(error)) from error
        if not _progress.sent:
            # The server answered and closed before the request was written (idle connections).
            response.close()
            raise RequestNotSent("ConnectionClosed")
        return response


def certificates(address: str) -> str:
    """Return the file or directory of the certificates that the environment trusts."""
    return _trusted(_environment(address))


def _environment(address: str) -> Any:
    return Session().merge_environment_settings(address, {}, None, None, None)


def _trusted(environment: Any) -> str:
    verify: str | bool = environment["verify"]
    return DEFAULT_CA_BUNDLE_PATH if isinstance(verify, bool) else verify


def _pool_manager(address: str, connections: int, max_idle: float) -> PoolManager:
    """Return pools that use the proxy and the certificates of the environment."""
    environment = _environment(address)
    trusted = _trusted(environment)
    options: dict[str, Any] = {
        "maxsize": connections,
        "socket_options": _SOCKET_OPTIONS,
        "cert_reqs": "CERT_REQUIRED",
        "ca_cert_dir" if Path(trusted).is_dir() else "ca_certs": trusted,
    }
    proxy = select_proxy(address, environment["proxies"])
    manager = PoolManager(**options) if proxy is None else _proxy_manager(proxy, options)
    classes: dict[str, Any] = {
        "http": partial(_Pool, max_idle=max_idle),
        "https": partial(_SecurePool, max_idle=max_idle),
    }
    manager.pool_classes_by_scheme = classes
    return manager


def _proxy_manager(proxy: str, options: dict[str, Any]) -> PoolManager:
    url = proxy if "://" in proxy else f"http://{proxy}"
    user, password = get_auth_from_url(url)
    headers = make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
    return ProxyManager(url, proxy_headers=headers, **options)


def _error_types(error: BaseException) -> str:
    """Return the types of an error and of its first cause, not their texts: they hold passwords."""
    cause = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return ": ".join(dict.fromkeys((type(error).__name__, type(cause).__name__)))
