"""Recognises repeated requests by a keyed digest: the stored digest confirms no guessed number."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from service.components import components
from service.installation_keys import cached_key, database_key
from service.queries import installation

_PURPOSE: Final = b"waybill: digests of requests"
_KEY_NAME: Final = "request_digest"  # of the key in the database


def request_digest(request: Mapping[str, Any]) -> bytes:
    """Return the digest of a validated, normalised request.

    It covers what the client asked for, without fields at their default or filled in by settings:
    a changed setting or a new field does not make a repeat another request.
    """
    return _sha256(_with_integers(request))


def digest_of_json(body: Any) -> bytes:
    """Return the digest of the posted JSON, which earlier versions stored.

    Recognises repeats of requests that they accepted.
    """
    return _sha256(body)


def keyed(digest: bytes) -> bytes:
    """Return the digest to store: under OPS_SECRET, else under a key in the database.

    The second protects numbers from readers of the message table, not of the whole database.
    """
    secret = components().settings.ops_secret
    if secret is None:
        return _under(database_key(_KEY_NAME), digest)
    key = hmac.digest(secret.get_secret_value().encode(), _PURPOSE, hashlib.sha256)
    return _under(key, digest)


def matches(stored: bytes | None, digest: bytes) -> bool:
    """Tell whether a stored digest is that of this request.

    A digest that was stored before OPS_SECRET was set is under the key in the database. Without a
    stored digest, as after the number was erased, nothing matches.
    """
    if stored is None:
        return False
    if hmac.compare_digest(stored, keyed(digest)):
        return True
    key = cached_key(_KEY_NAME) or installation.find_key(_KEY_NAME)
    return key is not None and hmac.compare_digest(stored, _under(key, digest))


def _sha256(value: Any) -> bytes:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


def _with_integers(value: Any) -> Any:
    """Return the value with 5.0 as 5: JSON has one type of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _with_integers(item) for name, item in value.items()}
    return value


def _under(key: bytes, digest: bytes) -> bytes:
    return hmac.digest(key, digest, hashlib.sha256)
