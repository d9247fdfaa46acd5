"""Any request of Twilio with a message from a person becomes an inbound message."""

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.keywords import Keyword
from service.domain.report import StatusReport
from service.models import InboundMessage
from service.providers.base import Callback, Inbound
from service.providers.twilio import Twilio
from tests.conftest import ACCOUNT, make_settings
from tests.service.inbound.conversation import PERSON, SENDER, form

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SERVICE = "MG0123456789abcdef0123456789abcdef"
PROVIDER = Twilio(make_settings("sqlite:///unused.db", "redis://unused"))
COLUMNS = InboundMessage.__table__.columns


def parsed(fields: dict[str, str] | bytes) -> StatusReport | Inbound:
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    return PROVIDER.parse(Callback("twilio", "", body, NOW))


def heard(body: str = "Hello", **changes: str) -> Inbound:
    received = parsed(form(body, **changes))
    assert isinstance(received, Inbound)
    return received


def assert_storable(received: Inbound) -> None:
    """Check what a database needs: lengths, no NUL, no lone surrogate."""
    for name in ("provider_sid", "from_address", "to_address", "messaging_service_sid"):
        assert len(getattr(received, name) or "") <= COLUMNS[name].type.length
    values = [received.body, *received[2:5], received.messaging_service_sid, received.reply_to_sid]
    kept = json.dumps([values, list(received.media), dict(received.raw)], ensure_ascii=False)
    assert "\\u0000" not in kept.replace("\\\\", "")
    assert kept.encode()


def test_fields_of_a_text_message() -> None:
    received = heard("Hi", MessageSid="SM7", SmsSid="SM7", MessagingServiceSid=SERVICE)
    assert received._replace(raw={}) == Inbound(
        provider="twilio",
        account="default",
        provider_sid="SM7",
        from_address=PERSON,
        to_address=SENDER,
        received_at=NOW,
        body="Hi",
        media=[],
        messaging_service_sid=SERVICE,
    )
    assert received.raw["AccountSid"] == ACCOUNT


REGIONS = f"""
[[twilio]]
name = "eu"
account_sid = "{ACCOUNT}"
auth_token = "eu-token"
region = "ie1"
edge = "dublin"
phone_number = "+353861234567"
messaging_service_sid = "{SERVICE}"
"""


@pytest.mark.parametrize(
    ("changes", "account"),
    [
        ({"To": "+353861234567"}, "eu"),
        ({"To": "+353861234568", "MessagingServiceSid": SERVICE}, "eu"),
        ({"To": SENDER}, "default"),
        ({"To": "+353861234568"}, "default"),
        ({"To": "+353861234567", "AccountSid": "AC" + "9" * 32}, "eu"),
    ],
)
def test_account_of_several_with_one_sid_is_that_of_the_number(
    changes: dict[str, str], account: str, tmp_path: Path
) -> None:
    """Each region of an account has its token, so it is an account in ACCOUNTS_FILE."""
    (tmp_path / "accounts.toml").write_text(REGIONS)
    file = str(tmp_path / "accounts.toml")
    several = Twilio(make_settings("sqlite:///unused.db", "redis://unused", ACCOUNTS_FILE=file))
    body = urlencode(form(**changes)).encode()
    received = several.parse(Callback("twilio", "", body, NOW))
    assert isinstance(received, Inbound)
    assert received.account == account


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("+14155552671", "+14155552671"),
        ("whatsapp:+5214155552671", "whatsapp:+524155552671"),  # the old form of Mexican mobiles
        ("WhatsApp:+14155552671", "whatsapp:+14155552671"),
        ("rcs:+14155552671", "rcs:+14155552671"),
        ("rcs:an_agent", "rcs:an_agent"),
        ("12345", "12345"),
        ("AMAZON", "AMAZON"),
        ("a sender that is longer than a name", "a sender that is longer than a name"),
        ("messenger:1234567890", "messenger:1234567890"),
        ("client:\x00anna", "client:\ufffdanna"),
        ("x" * 300, "x" * 255),
        ("", ""),
    ],
)
def test_addresses_are_those_that_waybill_stores(address: str, stored: str) -> None:
    """Opt-outs and owners compare them with the addresses of messages."""
    received = heard(From=address, To=address)
    assert (received.from_address, received.to_address) == (stored, stored)


def test_service_is_written_like_that_of_messages() -> None:
    assert heard(MessagingServiceSid="mg" + "AB" * 16).messaging_service_sid == "MG" + "ab" * 16
    assert heard(MessagingServiceSid="").messaging_service_sid is None


@pytest.mark.parametrize(
    ("kind", "keyword"),
    [
        ("STOP", Keyword.STOP),
        ("start", Keyword.START),
        ("HELP", Keyword.HELP),
        ("", None),
        ("PAUSE", None),
    ],
)
def test_keyword_of_advanced_opt_out(kind: str, keyword: Keyword | None) -> None:
    assert heard("arrêt", OptOutType=kind).keyword is keyword


def test_ten_media_are_kept_in_order() -> None:
    media = {f"MediaUrl{n}": f"https://api.twilio.com/Media/ME{n}" for n in range(10)}
    types = {f"MediaContentType{n}": "image/png" for n in range(10)}
    received = heard("", NumMedia="10", **media, **types)
    assert [each["url"] for each in received.media] == list(media.values())
    assert {each["content_type"] for each in received.media} == {"image/png"}
    assert received.body is None


def test_reply_names_the_message_that_it_answers() -> None:
    assert heard(OriginalRepliedMessageSid="SM9").reply_to_sid == "SM9"


def test_request_to_the_fallback_address_is_an_inbound_message() -> None:
    """Twilio calls it after an error at the first address, and says which."""
    assert heard(ErrorCode="11200", ErrorUrl="https://sms.example.com/inbound/twilio").body


def test_text_and_fields_of_other_channels_are_kept() -> None:
    text = "\U0001f44d\U0001f3fd" * 400 + "\u200d"
    fields = {"ButtonPayload": "yes", "ChannelMetadata": '{"a": "b"}', "NewField": "1", "WaId": "1"}
    received = heard(text, **fields)
    assert received.body == text
    assert fields.items() <= received.raw.items()


@pytest.mark.parametrize(
    "changes",
    [{"MessageStatus": "delivered"}, {"MessageStatus": ""}, {"MessageSid": "", "SmsSid": ""}],
)
def test_status_callback_is_no_inbound_message(changes: dict[str, str]) -> None:
    """A callback may have a text and media; without a SID there is nothing to record once."""
    assert isinstance(parsed(form("Hello", **changes)), StatusReport)


FIELDS = [
    "From",
    "To",
    "Body",
    "MediaUrl0",
    "MediaContentType0",
    "MessagingServiceSid",
    "OptOutType",
]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(), st.text(max_size=300)))
def test_any_fields_become_a_storable_message(fields: dict[str, str]) -> None:
    for kept in (form(**{**fields, "MessageSid": "SM1"}), {**fields, "MessageSid": "\x00" * 99}):
        received = parsed({**kept, "NumMedia": "1", "AccountSid": ACCOUNT})
        if "MessageStatus" not in kept:
            assert isinstance(received, Inbound)
            assert_storable(received)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=99) | st.none() | st.integers()))
def test_any_json_becomes_a_storable_message(fields: dict[str, object]) -> None:
    received = parsed(json.dumps({"MessageSid": "SM1", "NumMedia": 0, **fields}).encode())
    assert isinstance(received, Inbound)
    assert_storable(received)
