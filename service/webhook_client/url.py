"""Parses and checks the URLs of webhook endpoints."""

import re
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

import idna

from service.config.webhooks import WebhookSettings
from service.webhook_client.destination import Forbidden
from service.webhook_client.resolver import NotResolved, resolve

PORTS: Final = {"http": 80, "https": 443}
_LONGEST: Final = 2_048
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# Programs read such hosts as IPv4 addresses: 2130706433, 0x7f000001, 127.1, 0177.0.0.1.
_NUMERIC: Final = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")


class Target(NamedTuple):
    """A URL, split: `host` is a lower-case name or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    path: str  # with the query

    @property
    def url(self) -> str:
        """Return the normalised URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def checked_url(url: str, settings: WebhookSettings) -> str:
    """Return a URL in normalised form, if webhooks may be sent to it now.

    Raises ValueError; its message continues the name of the field.
    """
    target = parse_url(url)
    if target.scheme != "https" and not settings.webhook_allow_http:
        raise ValueError("must start with https://")
    try:
        resolve(target.host, target.port, settings.webhook_networks)
    except Forbidden as error:
        raise ValueError(
            f"must lead to another address: {error}; operators can allow it in WEBHOOK_NETWORKS"
        ) from None
    except NotResolved:
        raise ValueError("must have a host name that DNS resolves now") from None
    return target.url


def parse_url(text: str) -> Target:
    """Split and normalise a URL; its fragment is left out. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError(f"must have at most {_LONGEST} characters")
    # urlsplit() drops tabs and line breaks, and other parsers read \ as /.
    if re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError("must have no spaces, control characters or backslashes")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("must be a URL such as https://example.com/hook") from None
    if parts.scheme not in PORTS:
        raise ValueError("must start with https://")
    if "@" in parts.netloc:
        raise ValueError("must have no user name and no password; check the signature instead")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise ValueError("must percent-encode characters outside ASCII in its path and query")
    return Target(parts.scheme, _host(parts.hostname or ""), _port(parts), path)


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535, or none")
    return port or PORTS[parts.scheme]


def _host(text: str) -> str:
    """Return a host name in lower case and ASCII, or an IP address. Raises ValueError."""
    try:
        host = text if text.isascii() else idna.encode(text, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("must have a valid host name") from None
    host = host.removesuffix(".")  # certificates have names without it
    if "%" not in host:  # the zone of an IPv6 address means something on one machine only
        try:
            return str(ip_address(host))
        except ValueError:
            pass
    if _NUMERIC.fullmatch(host):
        raise ValueError("must have a host name, or an IP address of four decimal numbers")
    if not _NAME.fullmatch(host):
        raise ValueError("must have a valid host name")
    return host
