"""Posts to webhook endpoints: to the address that was checked, following no redirect."""

import socket
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from urllib3 import PoolManager
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from service.config.webhooks import NetworkRule
from service.webhook_client.destination import Forbidden, check_address

_TIMEOUT: Final = 15.0
_PORTS: Final = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """The answer of an endpoint; `error` says why there is none."""

    status: int | None
    error: str | None = None
    retry_after: float | None = None  # seconds


class WebhookClient:
    """Posts requests over kept connections, each to an address that the rules allow."""

    def __init__(self, rules: tuple[NetworkRule, ...], connections: int) -> None:
        self._rules = rules
        self._pools = PoolManager(num_pools=connections, maxsize=connections)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post once. Raises nothing."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        try:
            address = resolve(host, port, self._rules)
            tls = {"server_hostname": host, "assert_hostname": host}
            pool = self._pools.connection_from_host(
                address, port, parts.scheme, tls if parts.scheme == "https" else None
            )
            response = pool.urlopen(
                "POST",
                parts.path + (f"?{parts.query}" if parts.query else "") or "/",
                body=body,
                headers={**headers, "Host": parts.netloc},
                retries=False,
                redirect=False,
                timeout=Timeout(total=_TIMEOUT),
                preload_content=False,
            )
            response.close()
        except (HTTPError, OSError, Forbidden) as error:
            return Answer(None, f"{type(error).__name__}: {error}"[:200])
        return Answer(response.status)


def resolve(host: str, port: int, rules: tuple[NetworkRule, ...]) -> str:
    """Return the address to connect to. Raises Forbidden, or OSError for an unknown name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        check_address(address, rules)
    return addresses[0]
