from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.config.webhooks import NetworkRule
from service.webhook_client.client import WebhookClient
from tests.service.webhooks.receiver import Receiver, receiver

LOOPBACK = (NetworkRule(network=ip_network("127.0.0.0/8"), allowed=True),)


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    """An endpoint on loopback."""
    with receiver() as books:
        yield books


@pytest.fixture
def allowed(
    context: Flask, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Allow webhooks to loopback."""
    configure(webhook_allow_http=True, webhook_networks=LOOPBACK)
    bound = replace(context.extensions["waybill"], webhook_client=WebhookClient(LOOPBACK, 8))
    monkeypatch.setitem(context.extensions, "waybill", bound)


@pytest.fixture
def subscribe(web: FlaskClient, allowed: None, endpoint: Receiver) -> Callable[..., dict[str, Any]]:
    """Create an endpoint by the API; return the answer."""

    def create(**fields: Any) -> dict[str, Any]:
        answer = web.post("/v1/webhook-endpoints", json={"url": endpoint.url, **fields})
        assert answer.status_code == 201, answer.json
        created: dict[str, Any] = answer.json
        return created

    return create
