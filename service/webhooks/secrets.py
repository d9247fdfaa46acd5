"""Encrypts the signing secrets of endpoints, with keys of the settings."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography.fernet import Fernet, MultiFernet

from service.components import components
from service.installation_keys import database_key
from service.models import WebhookEndpoint

_KEY_NAME = "webhook_secrets"  # of the key in the database


def encrypted(secret: str) -> str:
    """Return a signing secret encrypted under the first key."""
    return _cipher().encrypt(secret.encode()).decode()


def rotated(token: str) -> str:
    """Return an encrypted secret encrypted again, under the first key."""
    return _cipher().rotate(token.encode()).decode()


def signing_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Return the secrets that sign now, the newest first. Raises InvalidToken without their key."""
    cipher = _cipher()
    return [cipher.decrypt(token.encode()).decode() for token in _valid(endpoint.secrets, now)]


def _valid(entries: Sequence[dict[str, Any]], now: datetime) -> list[str]:
    """Return the encrypted secrets that are not replaced, or were replaced only recently."""
    return [
        entry["secret"]
        for entry in entries
        if entry["until"] is None or datetime.fromisoformat(entry["until"]) > now
    ]


def _cipher() -> MultiFernet:
    """Return the cipher of WEBHOOK_KEYS; of a key in the database where it is not set.

    The second protects secrets from readers of the endpoint table, not of the whole database.
    """
    keys = components().settings.webhook_keys
    if keys:
        return MultiFernet([Fernet(key.get_secret_value()) for key in keys])
    return MultiFernet([Fernet(base64.urlsafe_b64encode(database_key(_KEY_NAME)))])
