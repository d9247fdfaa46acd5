import socket
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.config.webhooks import NetworkRule
from service.webhook_client.client import WebhookClient

LOOPBACK = tuple(
    NetworkRule(network=ip_network(network), allowed=True) for network in ("127.0.0.0/8", "::1/128")
)
Resolves = Callable[..., None]


@pytest.fixture
def client() -> WebhookClient:
    """A client that may call this machine."""
    return WebhookClient(LOOPBACK, 8)


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Resolves:
    """Let every host name resolve to these addresses."""

    def resolve(*addresses: str) -> None:
        def answer(_host: str, port: int, **_: Any) -> list[Any]:
            return [(socket.AF_INET, None, 0, "", (address, port)) for address in addresses]

        monkeypatch.setattr("service.webhook_client.resolver.getaddrinfo", answer)

    return resolve


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """End a call after 0.5 s, and reading its body after 0.2 s."""
    monkeypatch.setattr("service.webhook_client.client._TIMEOUT", 0.5)
    monkeypatch.setattr("service.webhook_client.client._BODY_TIMEOUT", 0.2)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that the environment trusts."""
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    return authority
