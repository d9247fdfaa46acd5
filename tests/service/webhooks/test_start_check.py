"""A web server warns at start that the key of the secrets lies beside the secrets."""

from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from service.database import db
from service.webhooks.start_check import warn_without_keys
from tests.service.webhooks.test_deliver import Subscribe

Configure = Callable[..., None]


def start(app: Flask) -> None:
    """Run the check as at start, when nothing else holds a connection."""
    db.session.remove()
    warn_without_keys(app)


def test_endpoint_without_keys_is_warned_of(
    context: Flask, subscribe: Subscribe, caplog: pytest.LogCaptureFixture
) -> None:
    start(context)
    assert "WEBHOOK_KEYS" not in caplog.text
    subscribe()
    start(context)
    assert "WEBHOOK_KEYS" in caplog.text


def test_keys_need_no_warning(
    context: Flask, subscribe: Subscribe, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    configure(webhook_keys=(SecretStr(Fernet.generate_key().decode()),))
    subscribe()
    start(context)
    assert "WEBHOOK_KEYS" not in caplog.text


def test_server_starts_without_its_database(
    context: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bool:
        raise OperationalError("hunter2", None, Exception("hunter2"))

    monkeypatch.setattr("service.queries.webhook_secrets.any_endpoint", fail)
    start(context)
    assert "OperationalError" in caplog.text
    assert "hunter2" not in caplog.text
