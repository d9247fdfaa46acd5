"""Any request of Sinch with a message from a person becomes an inbound message."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.report import StatusReport
from service.models import InboundMessage
from service.providers.base import Callback, Inbound
from service.providers.sinch import Sinch
from tests.conftest import SINCH, make_settings

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SID = "01JHFFHQ0P99JPPNQPJDV7JTBP"
# https://developers.sinch.com/docs/sms/api-reference/sms/tag/Inbounds/
TEXT = {
    "body": "This is a test message.",
    "from": "16051234567",
    "id": SID,
    "operator_id": "35000",
    "received_at": "2026-11-21T11:59:50.123Z",
    "to": "447700900001",
    "type": "mo_text",
}
PROVIDER = Sinch(make_settings("sqlite:///unused.db", "redis://unused", **SINCH))
COLUMNS = InboundMessage.__table__.columns


def parsed(fields: dict[str, Any]) -> StatusReport | Inbound:
    return PROVIDER.parse(Callback("sinch", "", json.dumps(fields).encode(), NOW))


def heard(**changes: Any) -> Inbound:
    received = parsed({**TEXT, **changes})
    assert isinstance(received, Inbound)
    return received


def assert_storable(received: Inbound) -> None:
    """Check what a database needs: lengths, no NUL, no lone surrogate, a time in UTC."""
    for name in ("provider_sid", "from_address", "to_address"):
        assert len(getattr(received, name)) <= COLUMNS[name].type.length
    values = [received.body, *received[2:5], *received.media, dict(received.raw)]
    kept = json.dumps(values, ensure_ascii=False)
    assert "\\u0000" not in kept.replace("\\\\", "")
    assert kept.encode()
    assert received.provider_time is None or received.provider_time.tzinfo is UTC


def test_fields_of_a_text_message() -> None:
    assert heard()._replace(raw={}) == Inbound(
        provider="sinch",
        account="default",
        provider_sid=SID,
        from_address="+16051234567",
        to_address="+447700900001",
        received_at=NOW,
        body="This is a test message.",
        media=[],
        provider_time=datetime(2026, 11, 21, 11, 59, 50, 123_000, tzinfo=UTC),
    )
    assert heard().raw["operator_id"] == "35000"


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("447700900001", "+447700900001"),
        (447700900001, "+447700900001"),
        ("+447700900001", "+447700900001"),
        ("29012345", "+29012345"),  # the shortest numbers have the length of long short codes
        ("12345", "12345"),
        ("262966", "262966"),
        ("AMAZON", "AMAZON"),
        ("no address at all", "no address at all"),
        ("", ""),
        (None, ""),
        ({"number": 1}, ""),
        ("9" * 300, "9" * 255),
    ],
)
def test_addresses_are_those_that_waybill_stores(address: object, stored: str) -> None:
    """Sinch omits the + of numbers; opt-outs and owners compare them with those of messages."""
    received = heard(**{"from": address, "to": address})
    assert (received.from_address, received.to_address) == (stored, stored)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-11-21T12:59:50+01:00", NOW - timedelta(seconds=10)),
        ("2026-11-21T11:59:50", None),
        ("0001-01-01T00:00:00+23:59", None),  # before the first year in UTC
        ("soon", None),
        (7, None),
        (None, None),
    ],
)
def test_time_of_sinch_is_in_utc_or_missing(written: object, time: datetime | None) -> None:
    assert heard(received_at=written).provider_time == time


def test_binary_message_has_no_text() -> None:
    """Its body is base64: as a text it would mislead, and never be a STOP."""
    received = heard(type="mo_binary", body="U1RPUA==", udh="010203")
    assert received.body is None
    assert received.raw["body"] == "U1RPUA=="


def test_media_and_their_text_are_kept() -> None:
    links = [{"url": f"https://eu.example/{n}", "content_type": "image/png"} for n in range(10)]
    listed = [{**link, "status": "Uploaded", "code": 0} for link in links]
    failed = {"content_type": "image/png", "status": "Failed", "code": 1}
    body = {"subject": "Photos", "message": "Look", "media": [*listed, failed, "?", None]}
    received = heard(type="mo_media", body=body)
    assert (received.body, list(received.media)) == ("Look", links)


@pytest.mark.parametrize("body", [None, "", {}, {"message": None, "media": None}, {"media": {}}])
def test_message_may_be_empty(body: object) -> None:
    received = heard(body=body)
    assert (received.body, list(received.media)) == (None, [])


def test_client_reference_names_the_attempt_that_it_answers() -> None:
    attempt = UUID("0198d1c5-0000-7000-8000-000000000001")
    assert heard(client_reference=str(attempt)).reply_to_attempt == attempt
    assert heard(client_reference="an order").reply_to_attempt is None


def test_unknown_fields_are_kept() -> None:
    assert heard(new={"a": [1]}, sent_at="x").raw["new"] == '{"a": [1]}'


@pytest.mark.parametrize("changes", [{"type": "recipient_delivery_report_sms"}, {"id": None}])
def test_other_request_is_no_inbound_message(changes: dict[str, Any]) -> None:
    assert isinstance(parsed({**TEXT, **changes}), StatusReport)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "message": values,
        "media": values
        | st.lists(st.dictionaries(st.sampled_from(["url", "content_type"]), values)),
    },
)


@given(
    st.dictionaries(st.sampled_from([*TEXT, "client_reference", "new"]), values | bodies),
    st.sampled_from(["mo_text", "mo_binary", "mo_media"]),
)
def test_any_fields_become_a_storable_message(fields: dict[str, Any], kind: str) -> None:
    assert_storable(heard(**{**fields, "type": kind, "id": "\x00\ud800" + "1" * 99}))
