"""Settings of webhooks and of the event feed."""

from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Annotated, Any, Final

from cryptography.fernet import Fernet
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from service.config.types import Secrets

_MAKE_A_KEY: Final = (
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)


class NetworkRule(BaseModel):
    """A network to which webhooks may be sent, or may not."""

    model_config = ConfigDict(frozen=True)
    network: IPv4Network | IPv6Network
    allowed: bool


def _networks(value: Any) -> Any:
    """Split `10.0.0.0/8,!10.1.0.0/16` into rules."""
    if not isinstance(value, str):
        return value
    rules = [_rule(entry.strip()) for entry in value.split(",") if entry.strip()]
    networks = [rule.network for rule in rules]
    twice = next((each for each in networks if networks.count(each) > 1), None)
    if twice is not None:
        raise ValueError(f"must name {twice} once: it is allowed or forbidden, not both")
    return tuple(rules)


def _rule(entry: str) -> NetworkRule:
    text = entry.removeprefix("!").strip()
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"must be networks such as 10.0.0.0/8,!10.1.0.0/16, not {entry[:40]!r}"
        ) from None
    if ip_interface(text).ip != network.network_address:
        raise ValueError(f"must name a network by its first address: {network}, not {text[:40]}")
    return NetworkRule(network=network, allowed=not entry.startswith("!"))


def _keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for position, key in enumerate(keys, 1):
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError(
                f"must be a comma-separated list of keys of 32 bytes in URL-safe base64; key "
                f"{position} is not. Make one with: {_MAKE_A_KEY}"
            ) from None
    if len(set(keys)) < len(keys):
        raise ValueError("must name each key once")
    return keys


class WebhookSettings(BaseModel):
    """Settings of webhooks. The descriptions are also the text of `.env.example`."""

    webhook_keys: Annotated[Secrets, AfterValidator(_keys)] = Field(
        default=(),
        description="Keys that encrypt the signing secrets of webhook endpoints, comma-separated. "
        "The first one encrypts, all decrypt. Make one with: "
        f"{_MAKE_A_KEY}. Unset: a key in the "
        "database, which does not protect them from readers of the whole database.",
    )
    webhook_allow_http: bool = Field(
        default=False,
        description="Whether endpoints may have http:// URLs. For development.",
    )
    webhook_networks: Annotated[tuple[NetworkRule, ...], BeforeValidator(_networks)] = Field(
        default=(),
        description="Networks to which webhooks may be sent in addition, or with ! may not be "
        "sent: 127.0.0.0/8,!10.1.0.0/16. The smallest matching network decides. Without an entry "
        "public and private addresses are allowed; loopback, link-local, metadata, unspecified, "
        "multicast and reserved addresses are not.",
    )
    webhook_concurrency: int = Field(
        default=32,
        ge=1,
        le=1_000,
        description="Calls to webhook endpoints that one worker makes at the same time; a quarter "
        "of them to one endpoint.",
    )
    keep_events: int = Field(
        default=30,
        ge=1,
        le=3_650,
        description="Days for which events and their webhook deliveries are kept.",
    )
