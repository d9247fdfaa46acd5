"""Digests of requests under a key: a copy of the database alone confirms no guess of a number."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from typing import Final

from flask import current_app

from service.components import components
from service.database import transaction
from service.queries import installation

_PURPOSE: Final = b"waybill: digests of requests"
_NAME: Final = "request_digest"  # of the key in the database
_KEPT: Final = "waybill.request_digest"  # where a process keeps that key


def keyed(request_digest: bytes) -> bytes:
    """Return what is stored of a request: under `OPS_SECRET`, else under a key of the database.

    The second hides a number from who sees the table of messages, not from who has all tables.
    """
    secret = components().settings.ops_secret
    if secret is None:
        return _under(_database_key(), request_digest)
    key = hmac.digest(secret.get_secret_value().encode(), _PURPOSE, hashlib.sha256)
    return _under(key, request_digest)


def matches(stored: bytes | None, request_digest: bytes) -> bool:
    """Tell whether a stored digest is that of this request.

    One that was stored before `OPS_SECRET` was set is under the key of the database. Nothing
    matches where no digest is left: the number was forgotten.
    """
    if stored is None:
        return False
    if hmac.compare_digest(stored, keyed(request_digest)):
        return True
    older = current_app.extensions.get(_KEPT) or installation.find_key(_NAME)
    return older is not None and hmac.compare_digest(stored, _under(older, request_digest))


def _under(key: bytes, request_digest: bytes) -> bytes:
    return hmac.digest(key, request_digest, hashlib.sha256)


def _database_key() -> bytes:
    """Return the key that all replicas share, read once for a process, made by the first."""
    key: bytes | None = current_app.extensions.get(_KEPT)
    if key is None:
        with transaction():
            installation.add_key(_NAME, secrets.token_bytes(32), datetime.now(UTC))
            key = installation.find_key(_NAME)
        assert key is not None
        current_app.extensions[_KEPT] = key
    return key
