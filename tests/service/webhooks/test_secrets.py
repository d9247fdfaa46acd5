"""Signing secrets are encrypted, and one that cannot be read stops nothing else."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import select
from standardwebhooks import Webhook

from service.database import db
from service.models import WebhookDelivery, WebhookEndpoint
from service.webhooks import deliver as webhooks
from tests.fakes import FakeProvider
from tests.service.webhooks.receiver import Receiver
from tests.service.webhooks.test_deliver import Subscribe, send

OLD, NEW, OTHER = (SecretStr(Fernet.generate_key().decode()) for _ in range(3))
Configure = Callable[..., None]


def endpoint_of(created: dict[str, Any]) -> WebhookEndpoint:
    db.session.rollback()
    stored_id = UUID(created["id"].removeprefix("whe_"))
    return db.session.get_one(WebhookEndpoint, stored_id, populate_existing=True)


def deliveries() -> dict[UUID, WebhookDelivery]:
    db.session.rollback()
    rows = db.session.scalars(select(WebhookDelivery).execution_options(populate_existing=True))
    return {row.endpoint_id: row for row in rows}


@pytest.mark.parametrize("keys", [(), (NEW,)])
def test_database_has_no_secret_in_clear(
    subscribe: Subscribe, configure: Configure, keys: tuple[SecretStr, ...]
) -> None:
    configure(webhook_keys=keys)
    created = subscribe()
    stored = str(endpoint_of(created).secrets)
    assert created["secret"] not in stored
    assert created["secret"].removeprefix("whsec_") not in stored


@pytest.mark.parametrize(
    ("before", "after"), [((), (NEW,)), ((OLD,), (NEW, OLD)), ((OLD,), (OLD, NEW))]
)
def test_delivery_goes_on_when_keys_change(
    web: FlaskClient,
    provider: FakeProvider,
    subscribe: Subscribe,
    configure: Configure,
    endpoint: Receiver,
    before: tuple[SecretStr, ...],
    after: tuple[SecretStr, ...],
) -> None:
    configure(webhook_keys=before)
    secret = subscribe()["secret"]
    configure(webhook_keys=after)
    send(web, provider)
    webhooks.deliver()

    [request] = endpoint.received
    Webhook(secret).verify(request.body, request.headers)


def test_unreadable_secret_delays_only_its_endpoint(
    web: FlaskClient,
    provider: FakeProvider,
    subscribe: Subscribe,
    configure: Configure,
    endpoint: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(webhook_keys=(OTHER,))
    unreadable = endpoint_of(subscribe()).id
    configure(webhook_keys=(NEW,))
    readable = endpoint_of(subscribe()).id
    send(web, provider)
    webhooks.deliver()

    assert len(endpoint.received) == 1
    rows = deliveries()
    assert rows[readable].delivered_at
    failed = rows[unreadable]
    assert failed.delivered_at is None
    assert failed.due_at  # it is tried again
    assert "WEBHOOK_KEYS" in str(failed.error)
    assert str(unreadable) in caplog.text
