"""Verify webhooks as Standard Webhooks prescribes; sign them, for tests.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, cast

from waybill_client.errors import InvalidSignature
from waybill_client.events import Event

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a secret


class Headers(Protocol):
    """Headers of any web framework, or a dict."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names and values."""


def verify(
    headers: Headers, body: bytes | str, secret: str | Sequence[str], tolerance: float = 300
) -> Event:
    """Return the event of a webhook. Raises InvalidSignature.

    `body` is the body as received, not parsed. With several secrets, as during a rotation, one
    must match. `tolerance` is in seconds, to both sides. Raises ValueError for a secret that is
    not `whsec_` and base64 of 24 to 64 bytes.
    """
    content = body.encode() if isinstance(body, str) else body
    keys = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    values = {name.lower(): value for name, value in headers.items()}
    event_id, timestamp, signatures = (
        _header(values, f"webhook-{part}") for part in ("id", "timestamp", "signature")
    )
    _check_time(timestamp, tolerance)
    signed = f"{event_id}.{timestamp}.".encode(errors="replace") + content
    expected = [_signature(key, signed).encode() for key in keys]
    candidates = [each.encode(errors="replace") for each in signatures.split(" ")]
    # All are compared: the time of the answer tells nothing about which secret matched.
    if not any([hmac.compare_digest(a, b) for a in expected for b in candidates]):  # noqa: C419
        raise InvalidSignature("no signature matches: is it the secret of this endpoint?")
    return _event(event_id, content)


def sign(event_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers of a webhook; `timestamp` is in seconds since 1970."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(_key(secret), signed) for secret in secrets),
    }


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError("the secret must be whsec_ and base64 of 24 to 64 bytes")
    return key


def _header(values: dict[str, str], name: str) -> str:
    value = values.get(name, "")
    if not value:
        raise InvalidSignature(f"the header {name} is missing")
    return value


def _check_time(timestamp: str, tolerance: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise InvalidSignature("webhook-timestamp must be seconds since 1970")
    if (off := abs(time.time() - int(timestamp))) > tolerance:
        raise InvalidSignature(
            f"webhook-timestamp differs from this clock by {off:.0f} s, allowed are {tolerance:g} s"
        )


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _event(event_id: str, content: bytes) -> Event:
    try:
        payload: Any = json.loads(content)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise InvalidSignature("the body is signed, but is not a JSON object")
    return cast(Event, {"id": event_id, **payload})
