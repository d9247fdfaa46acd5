"""X-Request-ID: the caller's or ours, in every line and in the answer, and in no other request."""

import logging
import re
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.contextvars import get_contextvars

from tests.fakes import fake_signature


def id_of(client: FlaskClient, request_id: str | None = None) -> str:
    headers = {} if request_id is None else {"X-Request-ID": request_id}
    return client.get("/healthz", headers=headers).headers["X-Request-ID"]


def test_request_id_of_the_caller_is_returned(app: Flask) -> None:
    assert id_of(app.test_client(), "order-1851.a_b") == "order-1851.a_b"


@pytest.mark.parametrize(
    "request_id", [None, "", "x" * 65, "a b", "+14155552671", "é", 'a"b', "a/b"]
)
def test_request_without_a_valid_id_gets_a_new_one(app: Flask, request_id: str | None) -> None:
    first, second = (id_of(app.test_client(), request_id) for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def test_error_has_the_request_id(app: Flask) -> None:
    client = app.test_client()
    for path in ("/nowhere", "/v1/messages"):
        answer = client.get(path, headers={"X-Request-ID": "r1"})
        assert answer.status_code in (401, 404)
        assert answer.headers["X-Request-ID"] == "r1"


def test_log_context_ends_with_the_request(
    web: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(
        "service.web.api.messages.accept", lambda *_: seen.append(get_contextvars())
    )
    web.post(
        "/v1/messages",
        json={"to": "+14155552671", "body": "Hello"},
        headers={"X-Request-ID": "r1"},
    )

    [bound] = seen
    assert bound["request_id"] == "r1"
    assert isinstance(bound["client_id"], int)
    assert get_contextvars() == {}


def test_valid_callback_logs_nothing_and_has_no_id(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path, body = f"/callbacks/twilio/{UUID(int=7)}", b"MessageStatus=sent"
    signed = {"X-Fake-Signature": fake_signature(path, body)}
    # The second goes to the route behind the callbacks' own door.
    for place, status in ((path, 204), (f"/callbacks/nobody/{UUID(int=7)}", 404)):
        answer = app.test_client().post(place, data=body, headers=signed)
        assert answer.status_code == status
        assert "X-Request-ID" not in answer.headers
    ours = [record for record in caplog.records if record.name.startswith(("waybill", "service"))]
    assert ours == []
