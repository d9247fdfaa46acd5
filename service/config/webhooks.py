"""Settings of webhooks and of the event feed."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from cryptography.fernet import Fernet
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from service.config.types import Secrets


class NetworkRule(BaseModel):
    """A network to which webhooks may be sent, or may not."""

    model_config = ConfigDict(frozen=True)
    network: IPv4Network | IPv6Network
    allowed: bool


def _networks(value: Any) -> Any:
    """Split `10.0.0.0/8,!10.1.0.0/16` into rules."""
    if not isinstance(value, str):
        return value
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    return tuple(_rule(entry) for entry in entries)


def _rule(entry: str) -> NetworkRule:
    try:
        network = ip_network(entry.removeprefix("!"))
    except ValueError:
        raise ValueError(
            f"must be networks such as 10.0.0.0/8,!10.1.0.0/16, not {entry[:40]!r}"
        ) from None
    return NetworkRule(network=network, allowed=not entry.startswith("!"))


def _keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for key in keys:
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError("must be keys of 32 bytes in URL-safe base64") from None
    return keys


class WebhookSettings(BaseModel):
    """Settings of webhooks. The descriptions are also the text of `.env.example`."""

    webhook_keys: Annotated[Secrets, AfterValidator(_keys)] = Field(
        default=(),
        description="Keys that encrypt the signing secrets of webhook endpoints, the current one "
        "first: python -c 'from cryptography.fernet import Fernet; "
        "print(Fernet.generate_key().decode())'. Unset: a key in the database, which does not "
        "protect them from readers of the whole database.",
    )
    webhook_allow_http: bool = Field(
        default=False,
        description="Whether endpoints may have http:// URLs. For development.",
    )
    webhook_networks: Annotated[tuple[NetworkRule, ...], BeforeValidator(_networks)] = Field(
        default=(),
        description="Networks to which webhooks may be sent in addition, or with ! may not be "
        "sent: 127.0.0.0/8,!10.1.0.0/16. The smallest matching network decides. Without an entry "
        "public and private addresses are allowed; loopback, link-local, metadata, unspecified "
        "and multicast addresses are not.",
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
