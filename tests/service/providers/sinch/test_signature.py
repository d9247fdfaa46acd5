"""A callback is accepted only with a valid signature of Sinch over its exact bytes."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Forged
from service.providers.base import CallbackRequest
from service.providers.sinch import signature
from service.providers.sinch.signature import Keyring
from tests.conftest import SINCH, make_settings

VECTORS = json.loads((Path(__file__).parents[3] / "fixtures/signature-vectors.json").read_text())
OFFICIAL = VECTORS["sinch_hmac_sha256_body_nonce_timestamp"]
[NUMBERS_API] = VECTORS["sinch_numbers_api_only"]

BODY = b'{"batch_id":"01","status":"Delivered","type":"recipient_delivery_report_sms"}'
PATH = "/callbacks/sinch/0198d1c5-0000-7000-8000-000000000001"
NOW = 1_736_760_200.0
DAY = 86_400
PATH_SECRET = "a-secret-in-the-path"


def keyring(**changes: Any) -> Keyring:
    changed = {**SINCH, "SINCH_CALLBACK_SECRETS": "first,second", **changes}
    settings = make_settings("sqlite:///unused.db", "redis://unused", **changed)
    assert settings.default_sinch_account is not None
    return Keyring([settings.default_sinch_account], settings)


def sign(
    body: bytes = BODY, secret: str = "first", nonce: str = "n1", timestamp: str = f"{NOW:.0f}"
) -> dict[str, str]:
    """Sign as documented by Sinch."""
    signed = body + f".{nonce}.{timestamp}".encode()
    made = hmac.digest(secret.encode(), signed, hashlib.sha256)
    return {
        "x-sinch-webhook-signature": base64.b64encode(made).decode(),
        "x-sinch-webhook-signature-algorithm": "HmacSHA256",
        "x-sinch-webhook-signature-nonce": nonce,
        "x-sinch-webhook-signature-timestamp": timestamp,
    }


def older(body: bytes = BODY, secret: str = "first", timestamp: str = f"{NOW:.0f}") -> bytes:
    return hmac.digest(secret.encode(), timestamp.encode() + body, hashlib.sha256)


def verify(
    headers: dict[str, str],
    body: bytes = BODY,
    *,
    path: str = PATH,
    now: float = NOW,
    ring: Keyring | None = None,
) -> None:
    signature.verify(CallbackRequest(path, "", headers, body), ring or keyring(), now)


def refusal(headers: dict[str, str], body: bytes = BODY, **how: Any) -> str:
    with pytest.raises(Forged) as caught:
        verify(headers, body, **how)
    return caught.value.reason


@pytest.mark.parametrize("vector", OFFICIAL, ids=lambda vector: vector["id"])
def test_official_vector_is_accepted_with_its_secret_only(vector: dict[str, Any]) -> None:
    ring = keyring(SINCH_CALLBACK_SECRETS=vector["secret"])
    signed_at = float(vector["headers"]["x-sinch-webhook-signature-timestamp"])
    body = vector["raw_body"].encode()

    verify(vector["headers"], body, ring=ring, now=signed_at)

    assert refusal(vector["headers"], body, now=signed_at) == "mismatch"
    assert refusal(vector["headers"], body + b" ", ring=ring, now=signed_at) == "mismatch"


@pytest.mark.parametrize("secret", ["first", "second"])
def test_every_configured_secret_is_accepted(secret: str) -> None:
    verify(sign(secret=secret))


@given(body=st.binary(), nonce=st.text(st.characters(max_codepoint=126), max_size=40))
def test_only_the_signed_body_is_accepted(body: bytes, nonce: str) -> None:
    headers = sign(body, nonce=nonce)

    verify(headers, body)

    assert refusal(headers, body + b"x") == "mismatch"
    for name in ("nonce", "timestamp"):
        altered = {**headers, f"x-sinch-webhook-signature-{name}": headers[_of(name)] + "1"}
        assert refusal(altered, body) == "mismatch"


def _of(name: str) -> str:
    return f"x-sinch-webhook-signature-{name}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"x-sinch-webhook-signature": ""}, "mismatch"),
        ({"x-sinch-webhook-signature": "\xe9"}, "mismatch"),
        ({_of("nonce"): ""}, "mismatch"),
        ({_of("algorithm"): "HmacSHA512"}, "unknown_algorithm"),
        ({_of("algorithm"): "none"}, "unknown_algorithm"),
    ],
)
def test_changed_header_is_refused(change: dict[str, str], reason: str) -> None:
    assert refusal({**sign(), **change}) == reason


def test_unsigned_callback_is_refused() -> None:
    assert refusal({}) == "unsigned"


def test_signature_of_another_body_is_refused() -> None:
    assert refusal(sign(), b'{"status":"Failed"}') == "mismatch"


def test_missing_algorithm_header_means_hmac_sha256() -> None:
    headers = sign()
    del headers[_of("algorithm")]

    verify(headers)


@pytest.mark.parametrize("age", [0, 82_000, 163_835, 2 * DAY, -600])
def test_default_window_covers_all_retries(age: int) -> None:
    verify(sign(), now=NOW + age)


@pytest.mark.parametrize("age", [2 * DAY + 1, -2 * DAY - 1, 365 * DAY])
def test_old_and_future_signatures_are_refused(age: int) -> None:
    assert refusal(sign(), now=NOW + age) == "stale"


def test_window_is_a_setting() -> None:
    ring = keyring(SINCH_CALLBACK_WINDOW="300")

    verify(sign(), now=NOW + 300, ring=ring)
    assert refusal(sign(), now=NOW + 301, ring=ring) == "stale"


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1.5", "9" * 13, "9" * 5000])
def test_invalid_timestamp_is_refused(timestamp: str) -> None:
    assert refusal(sign(timestamp=timestamp)) == "unreadable"


@pytest.mark.parametrize("write", [bytes.hex, lambda made: base64.b64encode(made).decode()])
def test_older_signature_is_accepted_only_if_enabled(write: Any) -> None:
    headers = {"x-sinch-signature": write(older()), "x-sinch-timestamp": f"{NOW:.0f}"}
    ring = keyring(SINCH_OLDER_SIGNATURE="true")

    verify(headers, ring=ring)

    assert refusal(headers) == "unsigned"
    assert refusal(headers, BODY + b" ", ring=ring) == "mismatch"
    assert refusal({**headers, "x-sinch-timestamp": f"{NOW + 1:.0f}"}, ring=ring) == "mismatch"
    assert refusal(headers, ring=ring, now=NOW + 3 * DAY) == "stale"


def test_documented_signature_takes_precedence() -> None:
    ring = keyring(SINCH_OLDER_SIGNATURE="true")
    both = {
        **sign(secret="a stranger's"),
        "x-sinch-signature": older().hex(),
        "x-sinch-timestamp": f"{NOW:.0f}",
    }

    assert refusal(both, ring=ring) == "mismatch"


def test_signature_of_the_numbers_api_is_refused() -> None:
    headers = {name.lower(): value for name, value in NUMBERS_API["headers"].items()}
    body = NUMBERS_API["raw_body"].encode()
    secret = {"SINCH_CALLBACK_SECRETS": NUMBERS_API["secret"]}

    assert refusal(headers, body, ring=keyring(**secret)) == "unsigned"
    ring = keyring(**secret, SINCH_OLDER_SIGNATURE="true")
    assert refusal(headers, body, ring=ring) == "mismatch"


@pytest.mark.parametrize(
    ("path", "welcome"),
    [
        (f"/callbacks/sinch/{PATH_SECRET}/7", True),
        (f"/callbacks/sinch/{PATH_SECRET}x/7", False),
        (f"/callbacks/sinch/{PATH_SECRET}", False),
        (f"/callbacks/sinch/7/{PATH_SECRET}", False),
        ("/callbacks/sinch//7", False),
        ("/callbacks/sinch/\ud800/7", False),
        ("/callbacks/sinch/7", False),
        ("", False),
    ],
)
def test_secret_path_replaces_the_signature(path: str, welcome: bool) -> None:
    ring = keyring(SINCH_CALLBACK_SECRETS="", SINCH_CALLBACK_PATH_SECRET=PATH_SECRET)

    if welcome:
        verify({}, path=path, ring=ring)
    else:
        assert refusal({}, path=path, ring=ring) == "wrong_path"
        assert refusal(sign(), path=path, ring=ring) == "wrong_path"
