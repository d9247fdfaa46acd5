"""Random keys in the database that all replicas share."""

import secrets
from datetime import UTC, datetime

from flask import current_app

from service.database import db, transaction
from service.queries import installation


def database_key(name: str) -> bytes:
    """Return a key of 32 bytes. The first process creates it; each reads it once."""
    key = cached_key(name)
    if key is None:
        with transaction():
            installation.add_key(name, secrets.token_bytes(32), datetime.now(UTC))
            key = installation.find_key(name)
        assert key is not None
        current_app.extensions[_extension(name)] = key
    return key


def replace_database_key(name: str) -> None:
    """Replace a key by a new one. Other processes use the old one until they are restarted."""
    with transaction():
        installation.delete_key(name)
    current_app.extensions.pop(_extension(name), None)
    database_key(name)


def existing_key(name: str) -> bytes | None:
    """Return a key, if a process has created it."""
    key = cached_key(name)
    if key is None:
        # Not in the session: a caller may be in a transaction, or must not hold a connection.
        with db.engine.connect() as connection:
            key = connection.scalar(installation.key_of(name))
        if key is not None:
            current_app.extensions[_extension(name)] = key
    return key


def cached_key(name: str) -> bytes | None:
    """Return a key that this process has read already."""
    key: bytes | None = current_app.extensions.get(_extension(name))
    return key


def _extension(name: str) -> str:
    return f"waybill.{name}"
