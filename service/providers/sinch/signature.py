"""Check the signatures of Sinch's callbacks. Sinch signs the body, not the path or the method.

Source: https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/ and Sinch's
SDKs, whose test vectors we use.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr

from service.config.accounts import SinchAccount
from service.config.settings import Settings
from service.errors import Forged
from service.providers.base import CallbackRequest, RefusalAdvice
from service.providers.callback_urls import secret_in

_SIGNATURE: Final = "x-sinch-webhook-signature"
_ALGORITHM: Final = "hmacsha256"
# Not documented for SMS, but shown in some guides. The Numbers API has another header of this name.
_OLDER_SIGNATURE: Final = "x-sinch-signature"
_OLDER_TIMESTAMP: Final = "x-sinch-timestamp"
_MAX_TIMESTAMP_LENGTH: Final = 12
WRONG_PATH: Final = "wrong_path"

REFUSALS: Final = {
    "mismatch": RefusalAdvice(
        "the secret does not match",
        "Set SINCH_CALLBACK_SECRETS (in ACCOUNTS_FILE: callback_secrets of this account) to the "
        "signing secret of the plan or project.",
    ),
    "stale": RefusalAdvice(
        "their signatures are too old, or in the future",
        "Correct the clock of this machine. If it is right, raise SINCH_CALLBACK_WINDOW.",
    ),
}


class Keyring:
    """The secrets that may sign, and the other settings of the check.

    Without signing secrets, the path of the only account has a secret.
    """

    def __init__(self, accounts: Sequence[SinchAccount], settings: Settings) -> None:
        self.secrets = tuple(
            _bytes(secret) for account in accounts for secret in account.callback_secrets
        )
        self.account = accounts[0].name
        path_secret = accounts[0].callback_path_secret
        self.path_secret = None if self.secrets or path_secret is None else _bytes(path_secret)
        self.window = settings.sinch_callback_window
        self.older = settings.sinch_older_signature


def verify(request: CallbackRequest, keyring: Keyring, now: float) -> None:
    """Check a callback; `now` is in Unix seconds. Raises Forged."""
    if keyring.path_secret is not None:
        _check_path(request.path, keyring.account, keyring.path_secret)
    elif _SIGNATURE in request.headers:
        _check_signature(request, keyring, now)
    elif keyring.older and _OLDER_SIGNATURE in request.headers:
        _check_older_signature(request, keyring, now)
    else:
        raise Forged("unsigned")


def sign(secret: bytes, signed: bytes) -> bytes:
    """Return the HMAC-SHA256 of the signed bytes."""
    return hmac.digest(secret, signed, hashlib.sha256)


def _check_signature(request: CallbackRequest, keyring: Keyring, now: float) -> None:
    headers = request.headers
    # This header is not signed, so it must not select an algorithm.
    if headers.get(f"{_SIGNATURE}-algorithm", _ALGORITHM).lower() != _ALGORITHM:
        raise Forged("unknown_algorithm")
    timestamp = headers.get(f"{_SIGNATURE}-timestamp", "")
    nonce = headers.get(f"{_SIGNATURE}-nonce", "")
    signed = b".".join((request.body, _wire(nonce), _wire(timestamp)))
    presented = _wire(headers[_SIGNATURE])
    expected = [b64encode(sign(secret, signed)) for secret in keyring.secrets]
    if not _any_equal(expected, presented):
        raise Forged("mismatch")
    _check_age(timestamp, keyring.window, now)


def _check_older_signature(request: CallbackRequest, keyring: Keyring, now: float) -> None:
    timestamp = request.headers.get(_OLDER_TIMESTAMP, "")
    digests = [sign(secret, _wire(timestamp) + request.body) for secret in keyring.secrets]
    # The encoding is not documented.
    expected = [text for digest in digests for text in (b64encode(digest), digest.hex().encode())]
    if not _any_equal(expected, _wire(request.headers[_OLDER_SIGNATURE])):
        raise Forged("mismatch")
    _check_age(timestamp, keyring.window, now)


def _check_path(path: str, account: str, secret: bytes) -> None:
    """Compare the segment before the attempt: /callbacks/<provider>/<secret>/<attempt>."""
    if not hmac.compare_digest(secret_in(path, account).encode(errors="replace"), secret):
        raise Forged(WRONG_PATH)


def _check_age(timestamp: str, window: float, now: float) -> None:
    """Refuse old and future timestamps. Call this after the signature was checked."""
    if not timestamp.isdecimal() or len(timestamp) > _MAX_TIMESTAMP_LENGTH:
        raise Forged("unreadable")
    if abs(now - int(timestamp)) > window:
        raise Forged("stale")


def _any_equal(expected: list[bytes], presented: bytes) -> bool:
    return any(hmac.compare_digest(signature, presented) for signature in expected)


def _wire(text: str) -> bytes:
    """Return the original bytes of a header; characters beyond latin-1 never match."""
    return text.encode("latin-1", errors="replace")


def _bytes(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()
