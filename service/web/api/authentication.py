"""Who is asking: an API key as a bearer token."""

import hashlib
import secrets
from typing import Final

from flask import request
from structlog.contextvars import bind_contextvars

from service.errors import Unauthenticated
from service.queries import clients
from service.queries.clients import Owner

_PREFIX: Final = "wb_"
_TEST_PREFIX: Final = "wb_test_"
# So many characters of a key are kept in the clear, to tell keys apart.
_SHOWN: Final = 5
_OPERATOR_PREFIX: Final = "wbop_"
_CALLER: Final = "waybill.caller"


def new_key(*, test: bool = False) -> str:
    """Return a fresh key: 256 random bits behind a prefix that secret scanners can look for."""
    return (_TEST_PREFIX if test else _PREFIX) + secrets.token_urlsafe(32)


def hint_of(key: str, *, test: bool = False) -> str:
    """Return the beginning of a key, as lists show it."""
    return key[: len(_TEST_PREFIX if test else _PREFIX) + _SHOWN]


def new_operator_key() -> str:
    """Return a fresh key for the operators' pages. It opens nothing of the API."""
    return _OPERATOR_PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> bytes:
    """Return what is stored of a key. Plain SHA-256 serves: the key is random, not chosen."""
    return hashlib.sha256(key.encode()).digest()


def client_id() -> int:
    """Return the id of the calling client. Raises Unauthenticated."""
    return caller().id


def caller() -> Owner:
    """Return the calling client, looked up once for a request. Raises Unauthenticated."""
    known: Owner | None = request.environ.get(_CALLER)
    if known is None:
        known = request.environ[_CALLER] = _caller()
    return known


def _caller() -> Owner:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Unauthenticated("send your API key as 'Authorization: Bearer <key>'")
    # Looked up by digest: how long the look-up takes tells nothing about the key.
    owner = clients.owner_of(digest_of(key.strip()))
    if owner is None:
        raise Unauthenticated("this API key is not known, or was revoked")
    bind_contextvars(client_id=owner.id)
    return owner
