"""Webhooks are verified as the public packages do; what those refuse is refused."""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from service.webhooks import signature
from waybill_client import InvalidSignature, verify, webhooks

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = json.dumps({"type": "message.updated", "timestamp": "…", "data": {"id": "m"}}).encode()
# https://github.com/standard-webhooks/standard-webhooks, libraries/python/tests
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def signed(
    body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,), age: int = 0
) -> dict[str, str]:
    return webhooks.sign("evt_1", int(time.time()) - age, body, secrets)


def test_published_vector_is_verified() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    event = verify(VECTOR, body, secret, tolerance=1e10)
    assert event == {"id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "test": 2432232314}
    assert webhooks.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, [secret]) == VECTOR


@pytest.mark.parametrize("package", [standardwebhooks.Webhook, svix.webhooks.Webhook])
@given(body=st.dictionaries(st.text(), st.text() | st.integers()).map(json.dumps))
def test_public_packages_sign_what_is_verified(package: Callable[[str], Any], body: str) -> None:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": package(SECRET).sign("evt_1", now, body),
    }
    assert verify(headers, body, SECRET) == {"id": "evt_1", **json.loads(body)}
    package(SECRET).verify(body, signed(body.encode()))


def test_server_signs_what_is_verified() -> None:
    headers = signature.headers("evt_1", int(time.time()), BODY, [OTHER, SECRET])
    assert verify(headers, BODY, SECRET)["data"]["id"] == "m"


def test_headers_of_a_web_framework_are_accepted() -> None:
    app = Flask(__name__)
    with app.test_request_context("/", method="POST", data=BODY, headers=signed()):
        assert verify(request.headers, request.get_data(), SECRET)["id"] == "evt_1"
    shouted = {name.upper(): value for name, value in signed().items()}
    assert verify(shouted, BODY.decode(), SECRET)["id"] == "evt_1"


ALTERED: list[tuple[str, dict[str, str], bytes]] = [
    ("body", {}, BODY.replace(b"m", b"n")),
    ("white space", {}, BODY + b" "),
    ("id", {"webhook-id": "evt_2"}, BODY),
    ("time", {"webhook-timestamp": str(int(time.time()) - 30)}, BODY),
    ("no signature", {"webhook-signature": ""}, BODY),
    ("no id", {"webhook-id": ""}, BODY),
    ("no time", {"webhook-timestamp": ""}, BODY),
    ("text as time", {"webhook-timestamp": "soon"}, BODY),
    ("digits of another script", {"webhook-timestamp": "١٦١٤٢٦٥٣٣٠"}, BODY),
    ("fraction", {"webhook-timestamp": f"{time.time():.1f}"}, BODY),
    ("endless time", {"webhook-timestamp": "9" * 5000}, BODY),
    ("no version", {"webhook-signature": "AAAA"}, BODY),
    ("other version", {"webhook-signature": f"v2{signed()['webhook-signature'][2:]}"}, BODY),
    ("other id", {"webhook-id": "\udcff"}, BODY),
    ("not ASCII", {"webhook-signature": "v1,é v1,\udcff"}, BODY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "body"), [row[1:] for row in ALTERED], ids=[row[0] for row in ALTERED]
)
def test_altered_webhook_is_refused(changes: dict[str, str], body: bytes) -> None:
    headers = {**signed(), **changes}
    with pytest.raises(InvalidSignature):
        verify(headers, body, SECRET)


@pytest.mark.parametrize("age", [301, -301, 86_400])
def test_webhook_outside_the_tolerance_is_refused(age: int) -> None:
    with pytest.raises(InvalidSignature, match="clock"):
        verify(signed(age=age), BODY, SECRET)
    assert verify(signed(age=age), BODY, SECRET, tolerance=90_000)["id"] == "evt_1"


def test_webhook_inside_the_tolerance_is_accepted() -> None:
    for age in (-290, 290):
        assert verify(signed(age=age), BODY, SECRET)["id"] == "evt_1"


def test_one_of_several_secrets_must_match() -> None:
    assert verify(signed(), BODY, [OTHER, SECRET])["id"] == "evt_1"
    assert verify(signed(secrets=(OTHER, SECRET)), BODY, SECRET)["id"] == "evt_1"
    for secrets in (OTHER, [OTHER], []):
        with pytest.raises(InvalidSignature):
            verify(signed(), BODY, secrets)


def test_malformed_signatures_do_not_hide_a_good_one() -> None:
    headers = signed()
    headers["webhook-signature"] = f"junk v1a,AAAA  {headers['webhook-signature']} v1"
    assert verify(headers, BODY, SECRET)["id"] == "evt_1"


@pytest.mark.parametrize("secret", ["", "whsec_", "abc", "whsec_!" + "A" * 40, "whsec_" + "A" * 96])
def test_unusable_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as refused:
        verify(signed(), BODY, [SECRET, secret])
    assert secret in ("", "whsec_") or secret not in str(refused.value)


def test_signed_body_that_is_no_event_is_refused() -> None:
    for body in (b"[]", b"", b"\xff", b'"x"'):
        with pytest.raises(InvalidSignature, match="JSON"):
            verify(signed(body), body, SECRET)
