"""Create, find and revoke the keys of clients and operators."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from sqlalchemy import select, update

from service.database import db
from service.models import ApiKey, OperatorKey

# Prefixes that secret scanners can search for.
CLIENT: Final = "wb_"
TEST_CLIENT: Final = "wb_test_"
OPERATOR: Final = "wbop_"
# Characters after the prefix that are stored in plain text.
_HINT: Final = 5
_Key = TypeVar("_Key", ApiKey, OperatorKey)


def create(table: type[ApiKey | OperatorKey], prefix: str, **owner: Any) -> str:
    """Add a key with 256 random bits to the session, and return it."""
    key = prefix + secrets.token_urlsafe(32)
    hint, now = key[: len(prefix) + _HINT], datetime.now(UTC)
    db.session.add(table(hint=hint, digest=digest_of(key), created_at=now, **owner))
    return key


def digest_of(key: str) -> bytes:
    """Return what is stored of a key. A key is random, so a hash without salt is enough.

    Keys are looked up by digest: the time of a look-up does not depend on the key.
    """
    return hashlib.sha256(key.encode()).digest()


def find(table: type[_Key], key: str) -> _Key | None:
    """Return the row of a key, unless the key is revoked."""
    query = select(table).where(table.digest == digest_of(key), table.revoked_at.is_(None))
    return db.session.scalars(query).one_or_none()


def revoke(table: type[ApiKey | OperatorKey], key_id: int) -> bool:
    """Revoke a key; return whether it was valid until now."""
    valid = table.id == key_id, table.revoked_at.is_(None)
    statement = update(table).where(*valid).values(revoked_at=datetime.now(UTC))
    return db.session.scalars(statement.returning(table.id)).one_or_none() is not None
