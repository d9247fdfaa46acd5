"""The command that encrypts signing secrets under another key."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result
from cryptography.fernet import Fernet
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select, update

from service.database import db, transaction
from service.models import WebhookEndpoint
from service.webhooks import rotate_keys, secrets
from tests.strategies import EPOCH

OLD, NEW, OTHER = (SecretStr(Fernet.generate_key().decode()) for _ in range(3))
Configure = Callable[..., None]
Rotate = Callable[[], Result]


@pytest.fixture
def rotate(context: Flask) -> Rotate:
    def invoke() -> Result:
        db.session.rollback()
        return context.test_cli_runner().invoke(args=["webhooks", "rotate-keys"])

    return invoke


def entry(secret: str, until: datetime | None = None) -> dict[str, Any]:
    text = None if until is None else until.isoformat()
    return {"secret": secrets.encrypted(secret), "until": text}


@pytest.fixture
def store(client_id: int) -> Callable[..., UUID]:
    """Store an endpoint with these secrets, encrypted under the current first key."""

    def stored(*entries: dict[str, Any], deleted: bool = False) -> UUID:
        with transaction():
            endpoint = WebhookEndpoint(
                client_id=client_id,
                url="https://hooks.example.com/",
                types=[],
                statuses=[],
                secrets=list(entries),
                created_at=EPOCH,
                updated_at=EPOCH,
                deleted_at=EPOCH if deleted else None,
            )
            db.session.add(endpoint)
        return endpoint.id

    return stored


def readable_with(configure: Configure, *keys: SecretStr) -> list[list[str]]:
    """Return the secrets of all endpoints that these keys alone decrypt."""
    configure(webhook_keys=keys)
    db.session.rollback()
    query = select(WebhookEndpoint).order_by(WebhookEndpoint.id)
    rows = db.session.scalars(query.execution_options(populate_existing=True)).all()
    return [secrets.signing_secrets(row, datetime.now(UTC)) for row in rows]


@pytest.mark.parametrize("before", [(OLD,), ()])
def test_secrets_are_readable_with_the_new_key_alone(
    store: Callable[..., UUID],
    configure: Configure,
    rotate: Rotate,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[SecretStr, ...],
) -> None:
    monkeypatch.setattr(rotate_keys, "_BATCH", 2)
    configure(webhook_keys=before)
    later = datetime.now(UTC) + timedelta(hours=1)
    for number in range(5):
        store(entry(f"new-{number}"), entry(f"old-{number}", later))
    configure(webhook_keys=(NEW, *before))

    result = rotate()
    assert result.exit_code == 0, result.output
    assert "5 of 5" in result.output
    monkeypatch.setattr("service.webhooks.secrets.existing_key", lambda _: None)
    assert readable_with(configure, NEW) == [[f"new-{n}", f"old-{n}"] for n in range(5)]


def test_second_run_changes_nothing(
    store: Callable[..., UUID], configure: Configure, rotate: Rotate
) -> None:
    configure(webhook_keys=(OLD,))
    store(entry("secret"))
    configure(webhook_keys=(NEW, OLD))
    assert "1 of 1" in rotate().output
    assert "0 of 1" in rotate().output
    assert readable_with(configure, NEW) == [["secret"]]


def test_missing_key_is_reported_and_others_are_rotated(
    store: Callable[..., UUID], configure: Configure, rotate: Rotate
) -> None:
    configure(webhook_keys=(OTHER,))
    unreadable = store(entry("lost"))
    configure(webhook_keys=(OLD,))
    store(entry("kept"))
    configure(webhook_keys=(NEW, OLD))

    result = rotate()
    assert result.exit_code == 1
    assert str(unreadable) in result.output
    assert "1 of 2" in result.output
    assert readable_with(configure, NEW) == [[], ["kept"]]
    assert readable_with(configure, OTHER) == [["lost"], []]


def test_secret_that_no_longer_signs_is_not_reported(
    store: Callable[..., UUID], configure: Configure, rotate: Rotate
) -> None:
    configure(webhook_keys=(OTHER,))
    lost = entry("lost", datetime.now(UTC) - timedelta(hours=1))
    store(entry("deleted"), deleted=True)
    configure(webhook_keys=(OLD,))
    store(entry("kept"), lost)
    configure(webhook_keys=(NEW, OLD))
    assert rotate().exit_code == 0


def test_rotation_needs_a_key(store: Callable[..., UUID], rotate: Rotate) -> None:
    result = rotate()
    assert result.exit_code == 1
    assert "WEBHOOK_KEYS" in result.output


def test_secret_that_a_client_rotates_meanwhile_is_kept(
    store: Callable[..., UUID], configure: Configure, context: Flask
) -> None:
    configure(webhook_keys=(OLD,))
    store(entry("first"))
    configure(webhook_keys=(NEW, OLD))

    def run() -> rotate_keys.Rotation:
        with context.app_context():
            return rotate_keys.rotate_keys()

    db.session.rollback()
    with ThreadPoolExecutor(1) as threads:
        with db.engine.begin() as connection:
            entries = [entry("second"), entry("first")]
            connection.execute(update(WebhookEndpoint).values(secrets=entries))
            rotation = threads.submit(run)
            wait([rotation], timeout=0.3)  # it waits for the lock
        assert rotation.result(timeout=10).unreadable == []
    assert readable_with(configure, NEW) == [["second", "first"]]
