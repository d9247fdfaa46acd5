"""Key rotation as in docs/twilio.md: which tokens may sign at each step."""

from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from service.errors import Forged
from service.providers.base import CallbackRequest
from service.providers.twilio import Twilio
from tests.conftest import ACCOUNT, BASE_URL, make_settings

OLD, NEW, OTHER = "old-token", "new-token", "other-token"
PATH = "/callbacks/twilio/0198d1c5-0000-7000-8000-000000000001"
FORM = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "delivered"}
STEPS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "add next": (
        {"TWILIO_AUTH_TOKEN": OLD, "TWILIO_EXTRA_AUTH_TOKENS": f"{ACCOUNT}:next:{NEW}"},
        {OLD},
    ),
    "promote": (
        {"TWILIO_AUTH_TOKEN": OLD, "TWILIO_EXTRA_AUTH_TOKENS": f"{ACCOUNT}:next:{NEW}"},
        {OLD, NEW},
    ),
    "swap": (
        {"TWILIO_AUTH_TOKEN": NEW, "TWILIO_EXTRA_AUTH_TOKENS": f"{ACCOUNT}:previous:{OLD}"},
        {OLD, NEW},
    ),
    "drop": ({"TWILIO_AUTH_TOKEN": NEW}, {NEW}),
}


def accepts(settings: dict[str, Any], token: str) -> bool:
    provider = Twilio(make_settings("sqlite:///unused.db", "redis://unused", **settings))
    signature = RequestValidator(token).compute_signature(BASE_URL + PATH, FORM)
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
    try:
        provider.verify(CallbackRequest(PATH, "", headers, urlencode(FORM).encode()))
    except Forged:
        return False
    return True


@pytest.mark.parametrize("step", STEPS)
def test_rotation_accepts_callbacks_of_every_valid_token(step: str) -> None:
    settings, signers = STEPS[step]
    assert all(accepts(settings, token) for token in signers)


@pytest.mark.parametrize("step", STEPS)
def test_rotation_rejects_other_tokens(step: str) -> None:
    assert not accepts(STEPS[step][0], OTHER)


def test_removed_token_is_rejected() -> None:
    assert not accepts(STEPS["drop"][0], OLD)
