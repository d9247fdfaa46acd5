"""Whether Sinch sent a callback. What is signed is the body: neither the path nor the method.

Source: https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/ and the verification
in Sinch's own SDKs, whose vectors are our tests.
"""

import hashlib
import hmac
from base64 import b64encode
from typing import Final

from pydantic import SecretStr

from service.config.settings import Settings
from service.errors import Forged
from service.providers.base import CallbackRequest, RefusalAdvice

_SIGNATURE: Final = "x-sinch-webhook-signature"
_ALGORITHM: Final = "hmacsha256"
# Undocumented for SMS; some guides show it. The Numbers API uses the same name for something else.
_OLDER_SIGNATURE: Final = "x-sinch-signature"
_OLDER_TIMESTAMP: Final = "x-sinch-timestamp"
_LONGEST_TIMESTAMP: Final = 12


REFUSALS: Final = {
    "mismatch": RefusalAdvice(
        "the secret does not match",
        "Set SINCH_CALLBACK_SECRETS to the secret with which Sinch signs for this plan.",
    ),
    "stale": RefusalAdvice(
        "their signatures are too old, or from the future",
        "Set the clock of this machine. If it is right, raise SINCH_CALLBACK_WINDOW.",
    ),
}


class Keyring:
    """The secrets that may sign, for how long a signature is good, and what else is taken."""

    def __init__(self, settings: Settings) -> None:
        self.secrets = tuple(_bytes(one) for one in settings.sinch_callback_secrets)
        path_secret = settings.sinch_callback_path_secret
        self.path_secret = None if path_secret is None else _bytes(path_secret)
        self.window = settings.sinch_callback_window
        self.older = settings.sinch_older_signature


def verify(request: CallbackRequest, keyring: Keyring, now: float) -> None:
    """Return when Sinch sent this; `now` in Unix seconds. Raises Forged otherwise."""
    if keyring.path_secret is not None:
        _check_path(request.path, keyring.path_secret)
    elif _SIGNATURE in request.headers:
        _check_signature(request, keyring, now)
    elif keyring.older and _OLDER_SIGNATURE in request.headers:
        _check_older_signature(request, keyring, now)
    else:
        raise Forged("unsigned")


def sign(secret: bytes, signed: bytes) -> bytes:
    """Return the HMAC-SHA256 of what is signed."""
    return hmac.digest(secret, signed, hashlib.sha256)


def _check_signature(request: CallbackRequest, keyring: Keyring, now: float) -> None:
    headers = request.headers
    # The header is not signed itself and must not choose: there is one algorithm.
    if headers.get(f"{_SIGNATURE}-algorithm", _ALGORITHM).lower() != _ALGORITHM:
        raise Forged("unknown_algorithm")
    timestamp = headers.get(f"{_SIGNATURE}-timestamp", "")
    nonce = headers.get(f"{_SIGNATURE}-nonce", "")
    signed = b".".join((request.body, _wire(nonce), _wire(timestamp)))
    presented = _wire(headers[_SIGNATURE])
    made = [b64encode(sign(secret, signed)) for secret in keyring.secrets]
    if not _any_equal(made, presented):
        raise Forged("mismatch")
    _check_age(timestamp, keyring.window, now)


def _check_older_signature(request: CallbackRequest, keyring: Keyring, now: float) -> None:
    timestamp = request.headers.get(_OLDER_TIMESTAMP, "")
    digests = [sign(secret, _wire(timestamp) + request.body) for secret in keyring.secrets]
    # Nobody documents how it is written.
    made = [written for one in digests for written in (b64encode(one), one.hex().encode())]
    if not _any_equal(made, _wire(request.headers[_OLDER_SIGNATURE])):
        raise Forged("mismatch")
    _check_age(timestamp, keyring.window, now)


def _check_path(path: str, secret: bytes) -> None:
    """Compare the segment before the attempt: /callbacks/<provider>/<secret>/<attempt>."""
    segments = path.split("/")
    presented = segments[3] if len(segments) == 5 else ""
    if not hmac.compare_digest(presented.encode(errors="replace"), secret):
        raise Forged("wrong_path")


def _check_age(timestamp: str, window: float, now: float) -> None:
    """Refuse what was signed too long ago, or as far ahead. Called last: by then it is signed."""
    if not timestamp.isdecimal() or len(timestamp) > _LONGEST_TIMESTAMP:
        raise Forged("unreadable")
    if abs(now - int(timestamp)) > window:
        raise Forged("stale")


def _any_equal(made: list[bytes], presented: bytes) -> bool:
    return any(hmac.compare_digest(one, presented) for one in made)


def _wire(text: str) -> bytes:
    """Return a header as it was on the wire, or what nobody can have signed."""
    return text.encode("latin-1", errors="replace")


def _bytes(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()
