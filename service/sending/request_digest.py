"""What two requests have in common when they ask for the same: how a repeat is recognised."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def request_digest(request: Mapping[str, Any]) -> bytes:
    """Return the digest of a validated, normalised request.

    It has what the client asked for: no field at its default, and nothing that settings filled
    in, so that a changed setting or a new field makes no other request of a repeated one.
    """
    return _sha256(_same_numbers(request))


def digest_of_json(body: Any) -> bytes:
    """Return the digest of the JSON as it was posted, which earlier versions stored.

    Only to recognise repeats of the requests that they accepted.
    """
    return _sha256(body)


def _sha256(value: Any) -> bytes:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


def _same_numbers(value: Any) -> Any:
    """Return the value with 5.0 as 5: JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _same_numbers(item) for name, item in value.items()}
    return value
