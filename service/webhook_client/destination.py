"""Decides to which addresses a webhook may be sent."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from service.config.webhooks import NetworkRule

Address = IPv4Address | IPv6Address

# Metadata services of clouds outside the link-local networks.
_METADATA: Final = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200")))


class Forbidden(Exception):
    """Webhooks are not sent to this address; the message says why."""


def check_address(text: str, rules: Sequence[NetworkRule]) -> None:
    """Raise Forbidden for an address to which no webhook may be sent."""
    address = _unwrapped(ip_address(text))
    matching = [rule for rule in rules if address in rule.network]
    if matching:
        # Of two rules for one network, the one that forbids.
        rule = max(matching, key=lambda rule: (rule.network.prefixlen, not rule.allowed))
        if not rule.allowed:
            raise Forbidden(f"{address} is in {rule.network}, which WEBHOOK_NETWORKS forbids")
        return
    kind = _forbidden_kind(address)
    if kind is not None:
        raise Forbidden(f"{address} is a {kind} address")


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address in an IPv6 address that only carries it."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or address.sixtofour or address


def _forbidden_kind(address: Address) -> str | None:
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "metadata": address in _METADATA,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
    }
    return next((kind for kind, matches in kinds.items() if matches), None)
