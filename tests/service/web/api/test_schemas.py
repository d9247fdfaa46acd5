"""What a client may ask: what is wrong is named, field by field."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from service.domain.status import Status
from service.errors import Invalid
from service.web.api.schemas import MessageQuery, NewBatch, NewMessage, check

HELLO = {"to": "+14155552671", "body": "Hello"}
CONTENT = "HX" + "0" * 32
SERVICE = "MG" + "0" * 32


def errors_of(model: type[BaseModel], document: Any) -> dict[str, str]:
    """Return the errors of a request by field."""
    with pytest.raises(Invalid) as caught:
        check(model, document)
    return {error.field: error.message for error in caught.value.errors}


def ahead(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days)).isoformat()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": None}, "to"),
        ({"to": 14155552671}, "to"),
        ({"to": ""}, "to"),
        ({"to": "+" + "1" * 255}, "to"),
        ({"body": ""}, "body"),
        ({"body": "x" * 1601}, "body"),
        ({"body": ["Hello"]}, "body"),
        ({"media_urls": []}, "media_urls"),
        ({"media_urls": ["https://example.com/cat.png"] * 11}, "media_urls"),
        ({"media_urls": ["https://example.com/cat.png", "ftp://example.com"]}, "media_urls.1"),
        ({"media_urls": ["https://example.com/" + "x" * 2000]}, "media_urls.0"),
        ({"content_sid": "HX1"}, "content_sid"),
        ({"content_variables": {"1": 2}}, "content_variables.1"),
        ({"from": ""}, "from"),
        ({"messaging_service_sid": "MG1"}, "messaging_service_sid"),
        ({"send_at": "tomorrow"}, "send_at"),
        ({"validity_period": 0}, "validity_period"),
        ({"validity_period": 36_001}, "validity_period"),
        ({"validity_period": 10**4000}, "validity_period"),
        ({"validity_period": float("inf")}, "validity_period"),
        ({"reference": "x" * 256}, "reference"),
        ({"reference": 7}, "reference"),
        ({"metadata": ["a"]}, "metadata"),
        ({"metadata": {"a": {"b": 1}}}, "metadata.a"),
        ({"metadata": {"a": [1]}}, "metadata.a"),
        ({"metadata": {"a": float("nan")}}, "metadata.a"),
        ({"metadata": {"a": float("inf")}}, "metadata.a"),
        ({"metadata": {str(number): 1 for number in range(51)}}, "metadata"),
        ({"metadata": {"a": "x" * 4096}}, "metadata"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": 0}, "priority"),
        ({"resend_if_unknown": "perhaps"}, "resend_if_unknown"),
    ],
)
def test_invalid_field_is_named(change: dict[str, Any], field: str) -> None:
    assert set(errors_of(NewMessage, {**HELLO, **change})) == {field}


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "\ud800", "a\udfffb"])
@pytest.mark.parametrize(
    "field", ["to", "body", "from", "reference", "content_sid", "messaging_service_sid"]
)
def test_text_that_no_database_stores_is_refused(field: str, text: str) -> None:
    assert field in errors_of(NewMessage, {**HELLO, field: text})


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_nested_text_that_no_database_stores_is_refused(text: str) -> None:
    assert errors_of(NewMessage, {**HELLO, "media_urls": [f"https://example.com/{text}"]})
    assert errors_of(NewMessage, {**HELLO, "metadata": {"a": text}})
    assert errors_of(NewMessage, {**HELLO, "metadata": {text: "a"}})
    variables = {"to": HELLO["to"], "content_sid": CONTENT}
    assert errors_of(NewMessage, {**variables, "content_variables": {"1": text}})
    assert errors_of(NewMessage, {**variables, "content_variables": {text: "1"}})


def test_unknown_field_is_named() -> None:
    errors = errors_of(NewMessage, {**HELLO, "bdoy": "Hello"})
    assert errors == {"bdoy": "is not a known field; correct its name or leave it out"}


def test_unknown_field_named_with_a_surrogate_is_refused() -> None:
    assert errors_of(NewMessage, {**HELLO, "\ud800": "Hello"})


def test_error_lists_every_invalid_field() -> None:
    document = {"body": "x" * 1601, "validity_period": 0, "colour": "red"}
    assert set(errors_of(NewMessage, document)) == {"to", "body", "validity_period", "colour"}


@pytest.mark.parametrize("document", [None, 1, "Hello", [], [HELLO], True, 1.5])
def test_request_must_be_an_object(document: Any) -> None:
    assert set(errors_of(NewMessage, document)) == {"(request)"}


@pytest.mark.parametrize(
    "content",
    [
        {"body": "Hello"},
        {"body": "x" * 1600},
        {"media_urls": ["https://example.com/cat.png"] * 10},
        {"body": "Hello", "media_urls": ["http://example.com/cat.png"]},
        {"content_sid": CONTENT},
        {"content_sid": CONTENT, "content_variables": {"1": "Ada"}},
    ],
)
def test_valid_contents_are_accepted(content: dict[str, Any]) -> None:
    assert check(NewMessage, {"to": "+14155552671", **content}).to == "+14155552671"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"body": None},
        {"content_sid": CONTENT, "body": "Hello"},
        {"content_sid": CONTENT, "media_urls": ["https://example.com/cat.png"]},
        {"body": "Hello", "content_variables": {"1": "Ada"}},
        {"content_variables": {"1": "Ada"}},
    ],
)
def test_conflicting_contents_are_refused(content: dict[str, Any]) -> None:
    assert set(errors_of(NewMessage, {"to": "+14155552671", **content})) == {"(request)"}


@pytest.mark.parametrize("days", [0.01, 34.99])
def test_send_at_within_35_days_is_accepted(days: float) -> None:
    assert check(NewMessage, {**HELLO, "send_at": ahead(days)}).send_at is not None


@pytest.mark.parametrize("days", [-0.01, 35.01])
def test_send_at_outside_35_days_is_refused(days: float) -> None:
    assert set(errors_of(NewMessage, {**HELLO, "send_at": ahead(days)})) == {"send_at"}


@pytest.mark.parametrize(
    "moment",
    [
        "2020-01-01T00:00:00Z",
        "2999-01-01T00:00:00Z",
        "2030-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1e400",
        10**30,
    ],
)
def test_invalid_send_at_is_refused(moment: str | int) -> None:
    assert set(errors_of(NewMessage, {**HELLO, "send_at": moment})) == {"send_at"}


def test_metadata_values_keep_their_types() -> None:
    metadata = {"text": "1", "whole": 1, "part": 1.5, "flag": True, "nothing": None}
    kept = check(NewMessage, {**HELLO, "metadata": metadata}).metadata
    assert [(name, type(value)) for name, value in kept.items()] == [
        (name, type(value)) for name, value in metadata.items()
    ]


@pytest.mark.parametrize("count", [1, 1000])
def test_batch_of_1_to_1000_is_valid(count: int) -> None:
    assert len(check(NewBatch, {"messages": [HELLO] * count}).messages) == count


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [HELLO] * 1001}, "messages"),
        ({"messages": HELLO}, "messages"),
        ({}, "messages"),
        ({"messages": [HELLO], "urgent": True}, "urgent"),
        ([HELLO], "(request)"),
    ],
)
def test_invalid_batch_is_refused(document: Any, field: str) -> None:
    assert set(errors_of(NewBatch, document)) == {field}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "flying"),
        ("status", ""),
        ("to", "\x00"),
        ("reference", "\x00"),
        ("provider_sid", "\ud800"),
        ("created_after", "yesterday"),
        ("created_after", "2026-01-01T00:00:00"),
        ("created_before", "1e400"),
        ("cursor", "next"),
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "many"),
        ("limit", "9" * 5000),
        ("colour", "red"),
    ],
)
def test_invalid_filter_is_named(name: str, value: str) -> None:
    assert set(errors_of(MessageQuery, {name: value})) == {name}


def test_query_values_are_parsed_from_text() -> None:
    cursor = uuid4()
    query = check(MessageQuery, {"status": "sent", "limit": "10", "cursor": str(cursor)})
    assert (query.status, query.limit, query.cursor) == (Status.SENT, 10, cursor)


def test_error_does_not_repeat_the_input() -> None:
    """The text of a message is private, also in the answer's and the log's account of it."""
    errors = errors_of(
        NewMessage, {"to": 5550100, "body": ["secret"], "metadata": {"a": ["secret"]}}
    )
    assert "secret" not in str(errors)
    assert "5550100" not in str(errors)
