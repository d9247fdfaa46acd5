"""Twilio's callbacks become reports, for any body."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Numeric

from service.domain.report import Price, Source, StatusReport
from service.domain.status import Status
from service.models import StatusEvent
from service.providers.base import Callback
from service.providers.twilio.reports import STATUSES, fields, from_callback, from_resource

EXAMPLES = [
    example
    for example in json.loads(
        (Path(__file__).parents[3] / "fixtures/example-callbacks.json").read_text()
    )["examples"]
    if example["provider"] == "twilio" and example["form"]
]
NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
SID = "SM00000000000000000000000000000001"
COLUMNS = StatusEvent.__table__.columns

# As in Twilio's published specification, `message_enum_status`.
ENUMERATION = {
    *("accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed"),
    *("canceled", "read", "partially_delivered", "receiving", "received"),
}
DELIBERATELY_UNKNOWN = {"partially_delivered", "receiving", "received"}


def heard(body: bytes, attempt: str = str(ATTEMPT)) -> StatusReport:
    return from_callback(fields(body), Callback("twilio", attempt, body, NOW))


def said(**fields: str) -> StatusReport:
    return heard(urlencode(fields).encode())


def answered(**fields: Any) -> StatusReport:
    resource = {"sid": SID, "status": "sent", **fields}
    return from_resource(resource, Source.API, ATTEMPT, NOW)


def assert_it_can_be_stored(report: StatusReport) -> None:
    for name in ("word", "provider_sid", "error_code", "error_message", "provider_time"):
        value = getattr(report, name) or ""
        assert len(value) <= (getattr(COLUMNS[name].type, "length", None) or 1000), name
        assert "\x00" not in value, name
        value.encode()
    for key, value in report.raw.items():
        assert "\x00" not in f"{key}{value}"
    assert len(report.identity) == 32
    json.dumps(dict(report.raw))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["id"])
def test_published_callbacks_are_parsed(example: dict[str, Any]) -> None:
    form = dict(example["form"])
    word = example["status"] or form["SmsStatus"]

    report = heard(urlencode(form).encode())

    assert (report.word, report.status) == (word, STATUSES.get(word))
    assert report.provider_sid == form["MessageSid"]
    assert report.error_code == form.get("ErrorCode")
    assert report.provider_time == form.get("RawDlrDoneDate")
    assert report.raw == form
    assert (report.provider, report.source) == ("twilio", Source.CALLBACK)
    assert (report.attempt_id, report.received_at) == (ATTEMPT, NOW)
    assert_it_can_be_stored(report)


def test_every_published_status_is_known_or_excluded() -> None:
    assert set(STATUSES) == ENUMERATION - DELIBERATELY_UNKNOWN


@pytest.mark.parametrize("word", sorted(STATUSES))
def test_twilio_word_is_the_name_of_our_status(word: str) -> None:
    assert STATUSES[word] is Status(word)


@pytest.mark.parametrize(
    "word", [*sorted(DELIBERATELY_UNKNOWN), "teleported", "DELIVERED", "pending"]
)
def test_unknown_word_is_kept_without_a_status(word: str) -> None:
    report = said(MessageSid=SID, MessageStatus=word)

    assert (report.word, report.status) == (word, None)


def test_message_status_is_preferred_to_sms_status() -> None:
    report = said(MessageSid=SID, SmsStatus="delivered", MessageStatus="undelivered")

    assert report.status is Status.UNDELIVERED


@pytest.mark.parametrize("fields", [{}, {"MessageStatus": "", "MessageSid": ""}])
def test_legacy_fields_replace_missing_ones(fields: dict[str, str]) -> None:
    report = said(SmsStatus="failed", SmsSid=SID, **fields)

    assert (report.status, report.provider_sid) == (Status.FAILED, SID)


def test_carrier_time_is_kept_as_text() -> None:
    assert said(RawDlrDoneDate="2611210107").provider_time == "2611210107"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ErrorMessage": "Unreachable"}, "Unreachable"),
        ({"ChannelStatusMessage": "Blocked"}, "Blocked"),
        ({"ErrorMessage": "Unreachable", "ChannelStatusMessage": "Blocked"}, "Unreachable"),
        ({}, None),
    ],
)
def test_error_text_of_twilio_or_the_channel_is_kept(
    fields: dict[str, str], message: str | None
) -> None:
    assert said(MessageStatus="failed", **fields).error_message == message


@pytest.mark.parametrize("attempt", ["", "nonsense", "0198d1c5", "\x00", "é" * 32])
def test_path_without_an_attempt_leaves_only_the_sid(attempt: str) -> None:
    report = heard(f"MessageSid={SID}&MessageStatus=sent".encode(), attempt)

    assert (report.attempt_id, report.provider_sid) == (None, SID)


def test_json_body_is_parsed() -> None:
    report = heard(b'{"MessageSid": "SM1", "MessageStatus": "sent", "ErrorCode": 30003}')

    assert (report.provider_sid, report.status, report.error_code) == ("SM1", Status.SENT, "30003")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b"{" * 50_000,
        b'{"MessageStatus": ' + b"[" * 50_000,
        b'{"MessageStatus": ' + b"9" * 5_000 + b"}",
        b'{"MessageStatus": null, "ErrorCode": [1]}',
        b'{"MessageStatus": "\\u0000sent", "\\u0000": "\\u0000"}',
        b'{"MessageStatus": "\\ud800sent"}',
        b"MessageStatus=%00sent&%00=%00\x00",
        b"MessageStatus=%ED%A0%80&ErrorMessage=" + b"%F0%9F%98%80" * 2_000,
        b"\xff\xfe=\xfd",
        b"&" * 1_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_bad_body_becomes_a_storable_report(body: bytes) -> None:
    assert_it_can_be_stored(heard(body))


@given(body=st.binary() | st.text().map(str.encode), attempt=st.text())
def test_any_body_becomes_a_storable_report(body: bytes, attempt: str) -> None:
    assert_it_can_be_stored(heard(body, attempt))


@given(
    st.dictionaries(
        st.sampled_from(["MessageStatus", "MessageSid", "ErrorCode", "ErrorMessage", "SmsStatus"])
        | st.text(),
        st.text(max_size=2_000),
    )
)
def test_any_fields_become_a_storable_report(fields: dict[str, str]) -> None:
    assert_it_can_be_stored(heard(urlencode(fields).encode()))
    assert_it_can_be_stored(heard(b"{" + json.dumps(fields).encode()[1:]))


@pytest.mark.parametrize(
    ("counted", "segments"),
    [("0", None), (None, None), ("3", 3), (3, 3), ("1000", None), ("-1", None), ("many", None)],
)
def test_segments_are_unknown_until_twilio_counts_them(
    counted: object, segments: int | None
) -> None:
    assert answered(num_segments=counted).segments == segments


@pytest.mark.parametrize(
    ("amount", "price"),
    [
        ("-0.00750", Price(Decimal("-0.0075"), "USD")),
        ("0", Price(Decimal(0), "USD")),
        (None, None),
        ("", None),
        ("free", None),
        ("NaN", None),
        ("sNaN", None),
        ("-Infinity", None),
        ("1000000", None),
    ],
)
def test_price_is_a_number_or_unknown(amount: str | None, price: Price | None) -> None:
    assert answered(price=amount, price_unit="USD").price == price


def test_price_in_another_notation_has_the_same_identity() -> None:
    assert answered(price="-0.00750").identity == answered(price="-0.0075").identity


@given(
    amount=st.text() | st.decimals().map(str) | st.none(),
    counted=st.text() | st.integers().map(str) | st.none(),
)
@example(amount="1e1000000", counted=None)
@example(amount="999999.9999999", counted=None)
@example(amount=None, counted="9" * 5_000)
@example(amount="\x00", counted=None)
def test_any_answer_becomes_a_storable_report(amount: str | None, counted: str | None) -> None:
    report = answered(price=amount, num_segments=counted)

    column = COLUMNS["price"].type
    assert isinstance(column, Numeric)
    stored = round(report.price.amount, column.scale or 0) if report.price else Decimal(0)
    assert abs(stored) < 10 ** ((column.precision or 0) - (column.scale or 0))
    assert_it_can_be_stored(report)
