"""Decides to which addresses a webhook may be sent."""

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from service.config.webhooks import NetworkRule

Address = IPv4Address | IPv6Address

# Metadata services of clouds outside the link-local networks: AWS and Google over IPv6, Alibaba,
# Oracle (classic), and the platform address of Azure.
_METADATA: Final = frozenset(
    map(
        ip_address,
        ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    )
)
_THIS_NETWORK: Final = ip_network("0.0.0.0/8")
_NAT64: Final = ip_network("64:ff9b::/96")


class Forbidden(ValueError):
    """Webhooks are not sent to this address; the message says why."""


def check_address(text: str, rules: Sequence[NetworkRule]) -> None:
    """Raise Forbidden for an address to which no webhook may be sent."""
    address = ip_address(text)
    target = _target(address)
    rule = _smallest(rules, {address, target})
    if rule is None:
        kind = _forbidden_kind(target)
        if kind is not None:
            raise Forbidden(f"the address {target} is {kind}")
    elif not rule.allowed:
        raise Forbidden(
            f"the address {target} is in {rule.network}, which WEBHOOK_NETWORKS forbids"
        )


def _target(address: Address) -> Address:
    """Return the IPv4 address to which packets for an IPv6 address are forwarded, or itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo_client = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo_client or address


def _smallest(rules: Sequence[NetworkRule], forms: Collection[Address]) -> NetworkRule | None:
    """Return the rule with the smallest network that contains one of the forms of an address."""
    matching = [rule for rule in rules if any(form in rule.network for form in forms)]
    # Sizes count in addresses, to compare IPv4 with IPv6.
    return min(matching, key=lambda rule: (rule.network.num_addresses, rule.allowed), default=None)


def _forbidden_kind(address: Address) -> str | None:
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "that of a metadata service": address in _METADATA,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "reserved": address.is_reserved or address in _THIS_NETWORK,
    }
    return next((kind for kind, matches in kinds.items() if matches), None)
