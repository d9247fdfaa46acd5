"""The addresses under which providers reach this service, and whether a provider could."""

import ipaddress
import re
import socket
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, model_validator

from service.config.types import HttpUrl, http_url

# Each is tried for a callback that no earlier one fits: a forged one costs that many signatures.
_MOST: Final = 5
_LONGEST: Final = 4000  # https://www.twilio.com/docs/api/errors/21609
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
# Reserved, or in use inside networks: no public name ends in one of these (RFC 2606, 6761, 6762,
# 8375, 9476).
_INSIDE: Final = frozenset(
    {
        *("localhost", "local", "localdomain", "internal", "intranet", "private", "lan", "home"),
        *("corp", "test", "example", "invalid", "onion", "alt", "arpa"),
    }
)
_ADVICE: Final = (
    "no provider can reach it, and every send would be refused. Name a public address: for a trial "
    "that of a tunnel, see docs/twilio.md"
)


def is_host_of(url: str, domain: str) -> bool:
    """Tell whether an address leads to a server of this domain."""
    return f".{urlsplit(url).hostname}".endswith(f".{domain}")


def _base_urls(value: str) -> str:
    """Return a comma list of addresses, each once. Raises ValueError."""
    urls = dict.fromkeys(http_url(url.strip()) for url in value.split(",") if url.strip())
    if not 1 <= len(urls) <= _MOST:
        raise ValueError(f"must be a comma list of 1 to {_MOST} addresses")
    return ",".join(urls)


def unreachable(url: str) -> str | None:
    """Return why no provider can reach an address, or None where that cannot be told."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    address = _address(host)
    if address is not None:
        return None if _is_public(address) else f"{host} is no public address: {_ADVICE}"
    labels = host.split(".")
    if len(labels) == 1 or labels[-1] in _INSIDE:
        return f"{host} is a name inside a network: {_ADVICE}"
    if len(url) > _LONGEST or not all(map(_LABEL.fullmatch, labels)):
        return f"{host[:100]} is no host name that providers take (letters, digits, - and dots)"
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, in any way of writing one (127.1, 0x7f000001)."""
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
    """Where providers are, and where they reach us."""

    public_base_url: BaseUrls = Field(
        description="Where providers reach this service; a comma list takes callbacks of old ones.",
    )
    twilio_api_base_url: HttpUrl = Field(
        default="https://api.twilio.com",
        description="Another server in Twilio's place, such as the simulator.",
    )

    @property
    def callback_base_url(self) -> str:
        """Return the address that new messages are given."""
        return self.accepted_base_urls[0]

    @property
    def accepted_base_urls(self) -> tuple[str, ...]:
        """Return the addresses at which callbacks are taken: that of new messages first."""
        return tuple(self.public_base_url.split(","))

    def calls_real_provider(self) -> bool:
        """Tell whether messages may go to a provider itself, and not to a simulator."""
        return is_host_of(self.twilio_api_base_url, "twilio.com")

    @model_validator(mode="after")
    def _providers_reach_us(self) -> Self:
        """Check the address of new messages; a simulator may reach what a provider cannot."""
        reason = unreachable(self.callback_base_url)
        if reason is not None and self.calls_real_provider():
            raise ValueError(f"PUBLIC_BASE_URL: {reason}")
        return self
