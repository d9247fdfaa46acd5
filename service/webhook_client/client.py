"""Posts to webhook endpoints: to an address that was checked, following no redirect."""

import ssl
import time
from collections.abc import Mapping
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from service.config.webhooks import NetworkRule
from service.providers.connections import certificates
from service.providers.http import retry_after
from service.webhook_client.connection import Connection, seconds_left
from service.webhook_client.errors import explained
from service.webhook_client.idle_connections import IdleConnections
from service.webhook_client.resolver import TIMEOUT as RESOLVER_TIMEOUT
from service.webhook_client.resolver import resolve
from service.webhook_client.url import Target, parse_url

# Seconds for a whole call, and of it for the body of an answer whose status is known.
_TIMEOUT: Final = 15.0
_BODY_TIMEOUT: Final = 1.0
# Bytes of a body that are read, so that the connection can be used again.
_MOST_BODY: Final = 16_384


class Answer(NamedTuple):
    """The answer of an endpoint; without a status, `error` says why there is none."""

    status: int | None
    error: str | None = None
    retry_after: float | None = None  # seconds, 6 hours at most


class WebhookClient:
    """Posts requests, each to an address that the rules allow. Proxies are not used.

    Any number of threads may use it.
    """

    def __init__(
        self, rules: tuple[NetworkRule, ...], connections: int, *, https_only: bool = False
    ) -> None:
        """Keep at most `connections` idle connections."""
        self._rules = rules
        self._https_only = https_only
        self._idle = IdleConnections(connections)
        self._tls: ssl.SSLContext | None = None
        self._lock = Lock()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post once, within 15 s. Raises nothing."""
        deadline = time.monotonic() + _TIMEOUT
        try:
            target = parse_url(url)
            if self._https_only and target.scheme != "https":
                return Answer(None, "the URL must start with https://")
            return self._post(target, headers, body, deadline)
        except Exception as error:
            return Answer(None, explained(error, _TIMEOUT)[:200])

    def _post(
        self, target: Target, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> Answer:
        send = partial(self._send, path=target.path, headers=headers, body=body, deadline=deadline)
        kept = self._idle.take((target.scheme, target.host, target.port))
        if kept is not None:
            kept.set_deadline(deadline)
            try:
                return send(kept)
            except (ConnectionError, ssl.SSLError):
                pass  # closed by the receiver meanwhile; a webhook may arrive twice
        return send(self._connect(target, deadline))

    def _connect(self, target: Target, deadline: float) -> Connection:
        timeout = min(RESOLVER_TIMEOUT, seconds_left(deadline))
        addresses = resolve(target.host, target.port, self._rules, timeout)
        tls = self._tls_context() if target.scheme == "https" else None
        connection = Connection(target, addresses, tls)
        connection.open(deadline)
        return connection

    def _send(
        self,
        connection: Connection,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
    ) -> Answer:
        """Send a request; keep the connection, or close it."""
        keep = False
        try:
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            answer = _answer(response)
            if not response.will_close:
                connection.set_deadline(min(deadline, time.monotonic() + _BODY_TIMEOUT))
                keep = _is_read(response)
        finally:
            if keep:
                self._idle.put(connection)
            else:
                connection.close()
        return answer

    def _tls_context(self) -> ssl.SSLContext:
        """Return the context with the certificates of the environment, read once (20 ms)."""
        with self._lock:
            if self._tls is None:
                trusted = certificates("https://")
                if Path(trusted).is_dir():
                    self._tls = ssl.create_default_context(capath=trusted)
                else:
                    self._tls = ssl.create_default_context(cafile=trusted)
            return self._tls


def _answer(response: HTTPResponse) -> Answer:
    status = response.status
    if status < 200:
        raise HTTPException(f"status {status}")
    error = "redirects are not followed: change the URL" if 300 <= status < 400 else None
    return Answer(status, error, retry_after(response.getheader("Retry-After")))


def _is_read(response: HTTPResponse) -> bool:
    """Read the body; return whether the connection can be used again."""
    try:
        response.read(_MOST_BODY)
    except (OSError, HTTPException):
        return False
    return response.isclosed()
