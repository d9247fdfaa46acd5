"""Settings of webhooks: what is wrong, and how to mend it."""

import base64

import pytest

from service.config.settings import Settings
from tests.service.config.test_settings import GOOD, problems

# The same in each process of a parallel run.
KEYS = [base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in range(2)]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("10.0.0.0/8,somewhere", "somewhere"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.1.2.3/8", "10.0.0.0/8"),  # the network that was probably meant
        ("10.0.0.0/8,!10.0.0.0/8", "10.0.0.0/8"),
        ("!!10.0.0.0/8", "!!10.0.0.0/8"),
    ],
)
def test_wrong_network_is_named(value: str, named: str) -> None:
    text = problems(WEBHOOK_NETWORKS=value)
    assert "WEBHOOK_NETWORKS: must" in text
    assert named in text


def test_networks_may_be_addresses_and_have_spaces() -> None:
    settings = Settings.load({**GOOD, "WEBHOOK_NETWORKS": " 127.0.0.1 , ! 10.0.0.0/8,::1 "})
    assert [(str(rule.network), rule.allowed) for rule in settings.webhook_networks] == [
        ("127.0.0.1/32", True),
        ("10.0.0.0/8", False),
        ("::1/128", True),
    ]


@pytest.mark.parametrize("value", ["hunter2", f"{KEYS[0]},hunter2", f"{KEYS[0]},{KEYS[0]}", "é"])
def test_wrong_key_is_refused_and_not_shown(value: str) -> None:
    text = problems(WEBHOOK_KEYS=value)
    assert "WEBHOOK_KEYS: must" in text
    assert "hunter2" not in text
    assert KEYS[0] not in text


def test_several_keys_keep_their_order() -> None:
    settings = Settings.load({**GOOD, "WEBHOOK_KEYS": ", ".join(KEYS)})
    assert [key.get_secret_value() for key in settings.webhook_keys] == KEYS
    assert KEYS[0] not in repr(settings)
