"""Every error is a problem document, and no request causes a server error."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from demo.servers import free_port
from service.app import create_app
from service.database import db
from service.models import Message
from service.web.api.schemas import MessageQuery, NewMessage
from tests.conftest import make_settings
from tests.fakes import FakeProvider

HELLO = {"to": "+14155552671", "body": "Hello"}
PASSWORD = "hunter2"
SOME_ID = UUID(int=7)
# A function's fixtures serve all examples of one test: here they hold nothing that would matter.
RARELY = settings(
    max_examples=settings.default.max_examples * 3 // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def with_value(text: str) -> bytes:
    """Return a message, good but for one value of its metadata, given as JSON."""
    return b'{"to":"+14155552671","body":"Hello","metadata":{"a":%b}}' % text.encode()


HOSTILE = {
    "nothing": b"",
    "broken": b'{"to":"+1415',
    "two documents": b"{}{}",
    "no object": b"[]",
    "text": b'"Hello"',
    "null": b"null",
    "number": b"1",
    "no UTF-8": b'{"to":"+14155552671","body":"\xff\xfe"}',
    "raw surrogate": b'{"to":"+14155552671","body":"\xed\xa0\x80"}',
    "compressed": b"\x1f\x8b\x08\x00",
    "NUL": b'{"to":"+14155552671","body":"a\\u0000b"}',
    "raw NUL": b'{"to":"+14155552671","body":"a\x00b"}',
    "lone surrogate": b'{"to":"+14155552671","body":"\\ud800"}',
    "surrogate as a field": b'{"to":"+14155552671","body":"Hello","\\ud800":1}',
    "NUL in metadata": with_value('"\\u0000"'),
    "surrogate in metadata": with_value('"\\udfff"'),
    "NaN": with_value("NaN"),
    "Infinity": with_value("-Infinity"),
    "overflowing float": with_value("1e999"),
    "huge int": with_value("9" * 5000),
    "large int": with_value("9" * 4200),
    "nested": with_value("[" * 500 + "]" * 500),
    "deeply nested": with_value('{"a":' * 50_000 + "1" + "}" * 50_000),
    "deep and broken": b"[" * 100_000,
}


def is_problem(answer: TestResponse) -> bool:
    document = json.loads(answer.data)
    return (
        answer.content_type == "application/problem+json"
        and document["status"] == answer.status_code
        and {"type", "title", "status", "detail"} <= document.keys()
    )


def stored(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(select(func.count()).select_from(Message)).one()


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/batch"])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_body_gets_4xx(web: FlaskClient, app: Flask, path: str, body: bytes) -> None:
    refused = web.post(path, data=body, content_type="application/json")
    assert 400 <= refused.status_code < 500, refused.data
    assert is_problem(refused)
    assert stored(app) == 0


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_item_does_not_affect_others(web: FlaskClient, app: Flask, body: bytes) -> None:
    batch = b'{"messages":[%b,%b]}' % (json.dumps(HELLO).encode(), body or b"0")
    answer = web.post("/v1/messages/batch", data=batch, content_type="application/json")
    if answer.status_code == 202:
        assert [result["status"] for result in answer.json["results"]] == [202, 422]
        assert stored(app) == 1
    else:
        assert (answer.status_code, is_problem(answer), stored(app)) == (400, True, 0)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "\xff"],
)
def test_other_content_type_gets_400(web: FlaskClient, content_type: str) -> None:
    body = json.dumps(HELLO)
    refused = web.post("/v1/messages", data=body, headers={"Content-Type": content_type})
    assert 400 <= refused.status_code < 500
    assert is_problem(refused)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/batch"])
def test_body_over_the_limit_gets_413(web: FlaskClient, path: str) -> None:
    length = web.application.config["MAX_CONTENT_LENGTH"] + 1
    refused = web.post(path, json=HELLO, environ_overrides={"CONTENT_LENGTH": str(length)})
    assert (refused.status_code, is_problem(refused)) == (413, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages/7", 404),
        ("GET", "/v1/messages/%00", 404),
        ("GET", "/v1/messages/%ff", 404),
        ("GET", f"/v1/messages/{SOME_ID}x", 404),
        ("GET", f"/v1/messages/{SOME_ID}", 404),
        ("GET", "/v1/messages/7/events", 404),
        ("POST", "/v1/messages/7/cancel", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("PUT", "/v1/messages", 405),
        ("DELETE", f"/v1/messages/{SOME_ID}", 405),
        ("GET", "/v1/messages/batch", 405),
        ("POST", "/healthz", 405),
    ],
)
def test_unknown_path_or_method_is_a_problem_document(
    web: FlaskClient, method: str, path: str, status: int
) -> None:
    refused = web.open(path, method=method)
    assert (refused.status_code, is_problem(refused)) == (status, True)
    assert ("Allow" in refused.headers) == (status == 405)


def test_every_invalid_field_is_listed(web: FlaskClient) -> None:
    refused = web.post("/v1/messages", json={"body": "x" * 1601, "colour": "red"})
    assert refused.status_code == 422
    assert is_problem(refused)
    document = json.loads(refused.data)
    assert all(set(error) == {"field", "message"} for error in document["errors"])
    assert {error["field"] for error in document["errors"]} == {"to", "body", "colour"}


def test_problem_without_fields_has_no_errors(web: FlaskClient) -> None:
    assert "errors" not in json.loads(web.get(f"/v1/messages/{SOME_ID}").data)


def test_server_error_does_not_show_its_cause(
    web: FlaskClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> bool:
        raise ZeroDivisionError(PASSWORD)

    monkeypatch.setattr(provider, "can_schedule", break_down)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answer = web.post("/v1/messages", json={**HELLO, "send_at": later})
    assert (answer.status_code, is_problem(answer)) == (500, True)
    assert PASSWORD not in answer.get_data(as_text=True)


@pytest.fixture
def cut_off(redis_url: str) -> Iterator[FlaskClient]:
    """A client of an application whose database is away."""
    url = f"postgresql://somebody:{PASSWORD}@127.0.0.1:{free_port()}/waybill"
    app = create_app(make_settings(url, redis_url))
    web = app.test_client()
    web.environ_base["HTTP_AUTHORIZATION"] = "Bearer wb_key"
    yield web
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/messages"),
        ("POST", "/v1/messages/batch"),
        ("GET", "/v1/messages"),
        ("GET", f"/v1/messages/{SOME_ID}"),
        ("GET", f"/v1/messages/{SOME_ID}/events"),
        ("POST", f"/v1/messages/{SOME_ID}/cancel"),
    ],
)
def test_database_outage_gets_503_with_retry_after(
    cut_off: FlaskClient, method: str, path: str
) -> None:
    answer = cut_off.open(path, method=method, json=HELLO)
    assert (answer.status_code, is_problem(answer)) == (503, True)
    assert int(answer.headers["Retry-After"]) > 0
    told = answer.get_data(as_text=True)
    assert not any(secret in told for secret in (PASSWORD, "somebody", "127.0.0.1"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(field.alias or name for name, field in NewMessage.model_fields.items())
MESSAGE = st.dictionaries(st.sampled_from(FIELDS), JSON).map(lambda wild: {**HELLO, **wild})
QUERY = st.dictionaries(
    st.sampled_from(sorted(MessageQuery.model_fields)), st.text() | st.datetimes().map(str)
)


@RARELY
@given(wild=JSON | MESSAGE)
def test_no_json_causes_a_server_error(web: FlaskClient, wild: Any) -> None:
    posted = web.post("/v1/messages", data=json.dumps(wild), content_type="application/json")
    assert posted.status_code in (202, 400, 422), posted.data
    assert posted.status_code == 202 or is_problem(posted)


@RARELY
@given(body=st.binary())
def test_no_bytes_cause_a_server_error(web: FlaskClient, body: bytes) -> None:
    posted = web.post("/v1/messages", data=body, content_type="application/json")
    assert posted.status_code in (400, 422)


@RARELY
@given(query=QUERY)
def test_no_query_causes_a_server_error(web: FlaskClient, query: dict[str, str]) -> None:
    assert web.get("/v1/messages", query_string=query).status_code in (200, 422)
