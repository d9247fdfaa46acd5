"""From a checked request to a draft: addresses in one form, defaults filled in."""

from typing import Any

import pytest

from service.config.settings import Settings
from service.domain.priority import Priority
from service.errors import Invalid
from service.providers import configured
from service.sending.accept import Draft
from service.web.api import drafts
from service.web.api.drafts import check_idempotency_key
from tests.conftest import SINCH, make_settings

HELLO = {"to": "+14155552671", "body": "Hello"}
NUMBER = "+15005550006"
SERVICE = "MG" + "0" * 31 + "1"
OTHER_SERVICE = "MG" + "0" * 31 + "2"


def settings(**changes: str) -> Settings:
    return make_settings("sqlite:///unused.db", "redis://unused", **changes)


def draft(fields: Any, options: Settings, key: str | None) -> Draft:
    return drafts.draft(fields, options, configured(options), key)


def digest(fields: Any) -> bytes:
    return draft(fields, settings(), None).request_digest


@pytest.mark.parametrize(
    ("fields", "defaults", "sender", "service"),
    [
        ({}, {}, NUMBER, None),
        ({}, {"TWILIO_MESSAGING_SERVICE_SID": SERVICE}, None, SERVICE),
        ({"from": "ACME"}, {"TWILIO_MESSAGING_SERVICE_SID": SERVICE}, "ACME", None),
        ({"messaging_service_sid": OTHER_SERVICE}, {}, None, OTHER_SERVICE),
        (
            {"from": "ACME", "messaging_service_sid": OTHER_SERVICE},
            {"TWILIO_MESSAGING_SERVICE_SID": SERVICE},
            "ACME",
            OTHER_SERVICE,
        ),
    ],
)
def test_default_sender_is_used_unless_message_names_one(
    fields: dict[str, str], defaults: dict[str, str], sender: str | None, service: str | None
) -> None:
    new = draft({**HELLO, **fields}, settings(**defaults), None)
    assert (new.sender, new.messaging_service_sid) == (sender, service)


def test_message_without_any_sender_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        draft(HELLO, settings(TWILIO_PHONE_NUMBER=""), None)
    assert [error.field for error in caught.value.errors] == ["from"]


def test_draft_has_every_field_of_the_request() -> None:
    fields = {
        "to": "+1 415 555 2671",
        "content_sid": "HX" + "0" * 32,
        "content_variables": {"1": "Ada"},
        "validity_period": 600,
        "reference": "order-7",
        "metadata": {"a": 1},
        "priority": "high",
        "resend_if_unknown": True,
    }
    new = draft(fields, settings(), "key")
    assert new.provider == "twilio"
    assert new.to == "+14155552671"
    assert new.content_sid == fields["content_sid"]
    assert new.content_variables == {"1": "Ada"}
    assert new.validity_period == 600
    assert new.reference == "order-7"
    assert new.details == {"a": 1}
    assert new.priority is Priority.HIGH
    assert new.resend_if_unknown is True
    assert new.idempotency_key == "key"


def test_default_region_completes_national_numbers() -> None:
    new = draft({**HELLO, "to": "020 7946 0018"}, settings(DEFAULT_REGION="GB"), None)
    assert new.to == "+442079460018"


def test_field_order_does_not_change_the_digest() -> None:
    assert digest({"to": "+14155552671", "body": "Hello"}) == digest(
        {"body": "Hello", "to": "+14155552671"}
    )


@pytest.mark.parametrize(
    "change",
    [{"body": "hello"}, {"reference": "r"}, {"to": "+14155552672"}, {"metadata": {"a": 1}}],
)
def test_different_value_changes_the_digest(change: dict[str, Any]) -> None:
    assert digest({**HELLO, **change}) != digest(HELLO)


@pytest.mark.parametrize(
    ("fields", "options", "provider", "sender"),
    [
        ({}, {}, "twilio", NUMBER),
        ({}, {"DEFAULT_PROVIDER": "sinch"}, "sinch", SINCH["SINCH_PHONE_NUMBER"]),
        ({}, {"SMS_ROUTES": "+1:sinch"}, "sinch", SINCH["SINCH_PHONE_NUMBER"]),
        ({}, {"SMS_ROUTES": "+46:sinch,*:twilio", "DEFAULT_PROVIDER": "sinch"}, "twilio", NUMBER),
        ({"provider": "sinch"}, {"SMS_ROUTES": "*:twilio"}, "sinch", SINCH["SINCH_PHONE_NUMBER"]),
        ({"provider": "twilio"}, {"SMS_ROUTES": "*:sinch"}, "twilio", NUMBER),
        ({"provider": "sinch", "from": "ACME"}, {}, "sinch", "ACME"),
        (
            {"to": "whatsapp:+14155552671", "from": "whatsapp:+15005550006"},
            {"SMS_ROUTES": "+1:sinch"},
            "twilio",
            "whatsapp:+15005550006",
        ),
    ],
)
def test_provider_is_chosen_by_message_route_or_default(
    fields: dict[str, str], options: dict[str, str], provider: str, sender: str
) -> None:
    new = draft({**HELLO, **fields}, settings(**SINCH, **options), None)
    assert (new.provider, new.sender) == (provider, sender)


@pytest.mark.parametrize(
    ("fields", "options", "field"),
    [
        ({"provider": "nobody"}, SINCH, "provider"),
        ({"provider": "sinch"}, {}, "provider"),
        ({"provider": "Twilio"}, SINCH, "provider"),
        ({"provider": "sinch", "to": "whatsapp:+14155552671"}, SINCH, "to"),
        ({"provider": "sinch", "messaging_service_sid": SERVICE}, SINCH, "messaging_service_sid"),
        ({"provider": "sinch", "media_urls": ["https://example.com/a.png"]}, SINCH, "media_urls"),
        ({"provider": "sinch"}, {**SINCH, "SINCH_PHONE_NUMBER": ""}, "from"),
    ],
)
def test_field_that_the_provider_lacks_is_refused(
    fields: dict[str, Any], options: dict[str, str], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        draft({**HELLO, **fields}, settings(**options), None)
    assert [error.field for error in caught.value.errors] == [field]


@pytest.mark.parametrize("key", [None, "a", "x" * 255, "2026-11-21 order 7", "{}~!"])
def test_printable_idempotency_key_is_accepted(key: str | None) -> None:
    assert check_idempotency_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\nb", "a\x00b", "a\tb", "\x7f"])
def test_other_idempotency_key_is_refused(key: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_idempotency_key(key)
    assert [error.field for error in caught.value.errors] == ["Idempotency-Key"]
