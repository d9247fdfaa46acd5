"""Signatures as Standard Webhooks prescribes, checked by two public packages."""

import json
import time
from typing import Any

import pytest
import standardwebhooks
import svix

from service.webhooks import signature

BODY = json.dumps({"type": "message.updated", "data": {"text": "Grüße 🎉"}}).encode()
EVENT = "evt_42"
VERIFIERS: Any = [
    (standardwebhooks.Webhook, standardwebhooks.WebhookVerificationError),
    (svix.Webhook, svix.WebhookVerificationError),
]
by_both = pytest.mark.parametrize(
    ("webhook", "refusal"), VERIFIERS, ids=["standardwebhooks", "svix"]
)


def signed(*secrets: str, age: int = 0) -> dict[str, str]:
    return signature.headers(EVENT, int(time.time()) - age, BODY, secrets)


def test_vector_of_the_specification() -> None:
    headers = signature.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@by_both
def test_signature_is_accepted(webhook: Any, refusal: type[Exception]) -> None:
    secret = signature.new_secret()
    webhook(secret).verify(BODY, signed(secret))


@by_both
def test_altered_body_is_refused(webhook: Any, refusal: type[Exception]) -> None:
    secret = signature.new_secret()
    with pytest.raises(refusal):
        webhook(secret).verify(BODY.replace(b"updated", b"deleted"), signed(secret))


@by_both
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_altered_header_is_refused(webhook: Any, refusal: type[Exception], name: str) -> None:
    secret = signature.new_secret()
    headers = signed(secret)
    # The other time is within the tolerance: only the signature can tell.
    headers[name] = "evt_43" if name == "webhook-id" else str(int(headers[name]) - 10)
    with pytest.raises(refusal):
        webhook(secret).verify(BODY, headers)


@by_both
@pytest.mark.parametrize("age", [600, -600])
def test_replayed_request_is_refused(webhook: Any, refusal: type[Exception], age: int) -> None:
    secret = signature.new_secret()
    with pytest.raises(refusal):
        webhook(secret).verify(BODY, signed(secret, age=age))


@by_both
def test_other_secret_is_refused(webhook: Any, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        webhook(signature.new_secret()).verify(BODY, signed(signature.new_secret()))


@by_both
def test_both_secrets_verify_during_a_rotation(webhook: Any, refusal: type[Exception]) -> None:
    new, old, other = (signature.new_secret() for _ in range(3))
    headers = signed(new, old)
    for secret in (new, old):
        webhook(secret).verify(BODY, headers)
    with pytest.raises(refusal):
        webhook(other).verify(BODY, headers)


def test_secrets_are_long_and_differ() -> None:
    secrets = {signature.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(each.startswith("whsec_") and len(each) >= 44 for each in secrets)
