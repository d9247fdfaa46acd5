"""Validate the URLs at which providers reach this service."""

import ipaddress
import re
import socket
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field

from service.config.types import HttpUrl, http_url

# A callback is verified with each URL until one fits, so a forged callback costs this many checks.
_MAX_URLS: Final = 5
_MAX_LENGTH: Final = 4000  # https://www.twilio.com/docs/api/errors/21609
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
# Top-level domains of no public host: reserved or internal (RFC 2606, 6761, 6762, 8375, 9476).
_INTERNAL: Final = frozenset(
    {
        *("localhost", "local", "localdomain", "internal", "intranet", "private", "lan", "home"),
        *("corp", "test", "example", "invalid", "onion", "alt", "arpa"),
    }
)
_ADVICE: Final = (
    "no provider can reach it, and providers would refuse every send. Use a public address, or for "
    "a trial that of a tunnel (see docs/twilio.md)"
)


def is_host_of(url: str, domain: str) -> bool:
    """Return whether the host of a URL belongs to a domain."""
    return f".{urlsplit(url).hostname}".endswith(f".{domain}")


def _base_urls(value: str) -> str:
    """Return a comma-separated list of URLs without duplicates. Raises ValueError."""
    urls = dict.fromkeys(http_url(url.strip()) for url in value.split(",") if url.strip())
    if not 1 <= len(urls) <= _MAX_URLS:
        raise ValueError(f"must be a comma-separated list of 1 to {_MAX_URLS} URLs")
    return ",".join(urls)


def unreachable(url: str) -> str | None:
    """Return why no provider can reach a URL, or None if a provider may reach it."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    address = _address(host)
    if address is not None:
        return None if _is_public(address) else f"{host} is not a public address: {_ADVICE}"
    labels = host.split(".")
    if len(labels) == 1 or labels[-1] in _INTERNAL:
        return f"{host} is an internal host name: {_ADVICE}"
    if len(url) > _MAX_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        return f"{host[:100]} is not a valid host name: use letters, digits, - and dots"
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a host is, also in short and hexadecimal forms (127.1)."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


BaseUrls = Annotated[str, AfterValidator(_base_urls)]


class PublicSettings(BaseModel):
    """Settings of URLs. The descriptions are also the text of `.env.example`."""

    public_base_url: BaseUrls = Field(
        description="URL at which providers reach this service. After a move, list the old URLs "
        "behind it, separated by commas: callbacks to them are still accepted.",
    )
    twilio_api_base_url: HttpUrl = Field(
        default="https://api.twilio.com",
        description="URL of Twilio's API. Set another one for the simulator.",
    )

    @property
    def callback_base_url(self) -> str:
        """Return the URL for callbacks of new messages."""
        return self.accepted_base_urls[0]

    @property
    def accepted_base_urls(self) -> tuple[str, ...]:
        """Return the URLs at which callbacks are accepted, that of new messages first."""
        return tuple(self.public_base_url.split(","))
