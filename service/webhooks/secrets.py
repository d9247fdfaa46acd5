"""Encrypts the signing secrets of endpoints, with keys of the settings.

Without WEBHOOK_KEYS the key is in the database. It protects secrets from readers of the endpoint
table, not of the whole database. Secrets that it encrypted stay readable when WEBHOOK_KEYS is set.
"""

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from service.components import components
from service.installation_keys import database_key, existing_key
from service.models import WebhookEndpoint

_KEY_NAME = "webhook_secrets"  # of the key in the database
_log = logging.getLogger(__name__)


def encrypted(secret: str) -> str:
    """Return a signing secret encrypted under the first key."""
    ciphers = _configured() or [_cipher(database_key(_KEY_NAME))]
    return ciphers[0].encrypt(secret.encode()).decode()


def signing_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """Return the secrets that sign now, the newest first, without those whose key is missing."""
    valid = [entry for entry in endpoint.secrets if is_valid(entry, now)]
    readable = [secret for entry in valid if (secret := _decrypted(entry["secret"])) is not None]
    if len(readable) < len(valid):
        _log.error("cannot decrypt a secret of webhook endpoint %s: no key fits", endpoint.id)
    return readable


def is_valid(entry: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a secret was not replaced, or was replaced only recently."""
    return entry["until"] is None or datetime.fromisoformat(entry["until"]) > now


def rotated(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the secrets of an endpoint, encrypted under the first key where a key fits."""
    return [{**entry, "secret": _rotated(entry["secret"])} for entry in entries]


def is_readable(entry: Mapping[str, Any]) -> bool:
    """Tell whether one of the keys decrypts a secret."""
    return _decrypted(entry["secret"]) is not None


def _rotated(token: str) -> str:
    if _opened(_configured()[0], token) is not None:
        return token
    secret = _decrypted(token)
    return token if secret is None else encrypted(secret)


def _decrypted(token: str) -> str | None:
    opened = (_opened(cipher, token) for cipher in _ciphers())
    return next((secret for secret in opened if secret is not None), None)


def _opened(cipher: Fernet, token: str) -> str | None:
    try:
        return cipher.decrypt(token.encode()).decode()
    except InvalidToken:
        return None


def _ciphers() -> Iterator[Fernet]:
    """Yield the cipher of each key. The key in the database is read only if no other fits."""
    yield from _configured()
    key = existing_key(_KEY_NAME)
    if key is not None:
        yield _cipher(key)


def _configured() -> list[Fernet]:
    return [Fernet(key.get_secret_value()) for key in components().settings.webhook_keys]


def _cipher(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))
