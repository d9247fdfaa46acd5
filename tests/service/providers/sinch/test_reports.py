"""Sinch's callbacks become reports: every type, in any case, and any other body."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.outcome import Outcome, merge_all, outcome_of
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.providers.base import Callback
from service.providers.sinch.reports import STATUSES, fields, from_batch, from_callback, from_fields
from tests.strategies import splits

EXAMPLES = {
    body["id"]: body["json"]
    for body in json.loads(
        (Path(__file__).parents[3] / "fixtures/example-callbacks.json").read_text()
    )["examples"]
    if body["provider"] == "sinch"
}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
OTHER = UUID("0198d1c5-0000-7000-8000-000000000002")
BATCH = "01JHFFHQ0P99JPPNQPJDV7JTBP"
ONE = {
    "type": "recipient_delivery_report_sms",
    "batch_id": BATCH,
    "client_reference": str(ATTEMPT),
    "recipient": "14155552671",
    "status": "Delivered",
    "code": 0,
    "at": "2026-11-21T12:00:00.914Z",
    "operator_status_at": "2026-11-21T12:00:00Z",
}
GROUP = {"code": 0, "status": "Delivered", "count": 1, "recipients": ["+14155552671"]}
WHOLE = {
    "type": "delivery_report_sms",
    "batch_id": BATCH,
    "client_reference": str(ATTEMPT),
    "total_message_count": 1,
    "statuses": [GROUP],
}

jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def called(body: Any, attempt: str = "") -> StatusReport:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_callback(fields(text), Callback("sinch", attempt, text, NOW))


bodies = st.builds(
    lambda whole, kind, word, write, code: json.dumps(
        {
            **(WHOLE if whole else ONE),
            "type": ("" if whole else "recipient_") + f"delivery_report_{kind}",
            "status": write(word),
            "code": code,
            "statuses": [{"status": write(word), "code": code, "count": 1}],
        }
    ).encode(),
    whole=st.booleans(),
    kind=st.sampled_from(["sms", "mms"]),
    word=st.sampled_from([*STATUSES, "teleported"]),
    write=st.sampled_from([str.title, str.upper, str.lower]),
    code=st.sampled_from([0, 400, 401, 402, 406, 34]),
)


@given(st.data(), st.lists(bodies, max_size=6))
def test_bodies_in_any_order_give_the_same_outcome(data: st.DataObject, sent: list[bytes]) -> None:
    def outcome(some: list[bytes]) -> Outcome | None:
        return merge_all(outcome_of(called(body), attempt=1) for body in some)

    batches = data.draw(splits(sent))

    assert merge_all(outcome(batch) for batch in batches) == outcome(sent)


def test_recipient_report_is_parsed_completely() -> None:
    report = called(ONE)

    assert (report.status, report.word, report.error_code) == (Status.DELIVERED, "Delivered", None)
    assert (report.attempt_id, report.provider_sid) == (ATTEMPT, BATCH)
    assert (report.source, report.received_at) == (Source.CALLBACK, NOW)
    assert report.provider_time == ONE["at"]
    assert report.raw["operator_status_at"] == ONE["operator_status_at"]


@pytest.mark.parametrize(
    ("example", "status", "code"),
    [
        ("sinch-recipient-delivered", Status.DELIVERED, None),
        ("sinch-recipient-aborted", Status.FAILED, "412"),
        ("sinch-recipient-dispatched", Status.SENT, None),
        ("sinch-batch-full", Status.DELIVERED, None),
    ],
)
def test_official_body_is_parsed(example: str, status: Status, code: str | None) -> None:
    report = called(EXAMPLES[example])

    assert (report.status, report.error_code) == (status, code)
    assert report.provider_sid == EXAMPLES[example]["batch_id"]


@pytest.mark.parametrize("kind", ["sms", "mms"])
@pytest.mark.parametrize("recipients", [[], ["14155552671"], ["+14155552671"]])
def test_all_four_report_types_have_the_same_meaning(kind: str, recipients: list[str]) -> None:
    body = called({**ONE, "type": f"recipient_delivery_report_{kind}"})
    group = {**GROUP, "recipients": recipients} if recipients else {**GROUP}
    whole = called({**WHOLE, "type": f"delivery_report_{kind}", "statuses": [group]})

    assert body.status is whole.status is Status.DELIVERED
    assert (body.attempt_id, body.provider_sid) == (whole.attempt_id, whole.provider_sid)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Queued", Status.QUEUED),
        ("Dispatched", Status.SENT),
        ("Delivered", Status.DELIVERED),
        ("Failed", Status.UNDELIVERED),
        ("Rejected", Status.UNDELIVERED),
        ("Deleted", Status.UNDELIVERED),
        ("Expired", Status.UNDELIVERED),
        ("Aborted", Status.FAILED),
        ("Cancelled", Status.CANCELED),
        ("Unknown", Status.SENT),
    ],
)
def test_word_is_case_insensitive(word: str, status: Status) -> None:
    for written in (word, word.upper(), word.lower()):
        assert called({**ONE, "status": written}).status is status
    assert word.lower() in STATUSES


def test_every_status_of_the_table_is_tested() -> None:
    assert len(STATUSES) == 10


@pytest.mark.parametrize("status", ["Teleported", "", None, 7, ["Delivered"], {"a": 1}, "x" * 900])
def test_unknown_status_is_kept_without_a_meaning(status: object) -> None:
    report = called({**ONE, "status": status})

    assert report.status is None
    assert len(report.word) <= 64
    assert report.attempt_id == ATTEMPT


@pytest.mark.parametrize(
    ("parts", "segments"), [(2, 2), ("2", 2), (0, None), (-1, None), (None, None), ([2], None)]
)
def test_number_of_parts_is_kept(parts: object, segments: int | None) -> None:
    assert called({**ONE, "number_of_message_parts": parts}).segments == segments


@pytest.mark.parametrize("nested", [["Delivered"], {"a": 1}, [[[]]]])
def test_nested_value_is_not_a_status(nested: object) -> None:
    report = called({**ONE, "status": nested, "code": nested, "batch_id": nested, "at": nested})

    assert (report.word, report.error_code) == ("", None)
    assert (report.provider_sid, report.provider_time) == (None, None)


@pytest.mark.parametrize(
    ("code", "kept"),
    [(402, "402"), ("402", "402"), (99_999, "99999"), (0, None), (400, None), (401, None)],
)
def test_code_is_kept_unless_it_repeats_the_status(code: object, kept: str | None) -> None:
    assert called({**ONE, "status": "Failed", "code": code}).error_code == kept


@pytest.mark.parametrize(
    "changes",
    [
        {"total_message_count": 2},
        {"statuses": [GROUP, {**GROUP, "status": "Failed", "code": 402}]},
    ],
)
def test_report_about_several_recipients_has_no_status(changes: Any) -> None:
    report = called({**WHOLE, **changes})

    assert (report.status, report.word) == (None, "several")


@pytest.mark.parametrize("statuses", [None, [], {}, "Delivered", [None], [{**GROUP, "count": 0}]])
def test_batch_without_a_status_has_none(statuses: object) -> None:
    assert called({**WHOLE, "statuses": statuses}).status is None


def test_empty_group_is_ignored() -> None:
    nobody = {"code": 402, "status": "Failed", "count": 0}

    assert called({**WHOLE, "statuses": [nobody, GROUP]}).status is Status.DELIVERED


def test_other_event_type_is_kept_without_a_status() -> None:
    report = called({"type": "mo_text", "from": "1", "body": "Hi", "status": "Delivered"})

    assert (report.word, report.status) == ("mo_text", None)
    assert report.raw["body"] == "Hi"


def test_signed_body_names_the_attempt_not_the_path() -> None:
    assert called(ONE, attempt=str(OTHER)).attempt_id == ATTEMPT
    nameless = {name: value for name, value in ONE.items() if name != "client_reference"}
    assert called(nameless, attempt=str(OTHER)).attempt_id is None
    assert called({**ONE, "client_reference": "an order of ours"}).attempt_id is None


def test_provider_time_changes_only_the_identity() -> None:
    first, second = called(ONE), called({**ONE, "at": "2026-11-21T13:00:00Z"})

    assert first.identity != second.identity
    assert first.received_at == second.received_at


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"7", b"\xff", b"{", b"[" * 60_000, b'{"a":' * 10_000, b"NaN"],
)
def test_unreadable_body_is_kept(body: bytes) -> None:
    report = called(body)

    assert (report.status, report.word, report.provider_sid) == (None, "", None)
    assert report.raw == {"unreadable": body.decode(errors="replace")}


@given(fields=st.dictionaries(st.sampled_from([*ONE, *WHOLE, "more"]), jsons))
def test_any_report_fields_become_a_storable_report(fields: dict[str, Any]) -> None:
    report = called(fields)

    kept = json.dumps([report.word, report.provider_sid, report.error_code, dict(report.raw)])
    assert "\\u0000" not in kept.replace("\\\\u0000", "")
    assert report.identity


@pytest.mark.parametrize("depth", [900, 5_000])
def test_deep_nesting_is_parsed(depth: int) -> None:
    for name in ("client_reference", "batch_id", "status", "code", "at", "type", "more"):
        fields = {key: value for key, value in ONE.items() if key != name}
        nested = '"a":' + "[" * depth + "]" * depth
        body = json.dumps(fields)[:-1] + f', "{name}": {{{nested}}}}}'
        assert called(body.encode()).received_at == NOW


@pytest.mark.parametrize(
    ("batch", "status"),
    [
        ({}, Status.ACCEPTED),
        ({"canceled": False}, Status.ACCEPTED),
        ({"canceled": True}, Status.CANCELED),
        ({"send_at": "2026-11-21T13:00:00.000Z"}, Status.SCHEDULED),
        ({"send_at": "2026-11-21T11:00:00.000Z"}, Status.ACCEPTED),
        ({"send_at": "2026-11-21T13:00:00.000"}, Status.ACCEPTED),
        ({"send_at": "tomorrow"}, Status.ACCEPTED),
        ({"send_at": "2026-11-21T13:00:00.000Z", "canceled": True}, Status.CANCELED),
    ],
)
def test_batch_fields_give_its_status(batch: dict[str, Any], status: Status) -> None:
    report = from_batch({"id": BATCH, "body": "A secret", **batch}, Source.API, ATTEMPT, NOW)

    assert (report.status, report.provider_sid, report.attempt_id) == (status, BATCH, ATTEMPT)
    assert "A secret" not in str(report.raw)


def test_fetched_report_is_parsed_like_a_callback() -> None:
    report = from_fields(WHOLE, Source.RECONCILIATION, ATTEMPT, NOW)

    assert (report.status, report.source) == (Status.DELIVERED, Source.RECONCILIATION)
