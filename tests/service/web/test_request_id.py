"""X-Request-ID: the caller's or ours, in every line and in the answer, and in no other request."""

import logging
import re
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.contextvars import get_contextvars

from tests.fakes import fake_signature


def named(client: FlaskClient, given: str | None = None) -> str:
    headers = {} if given is None else {"X-Request-ID": given}
    return client.get("/healthz", headers=headers).headers["X-Request-ID"]


def test_a_caller_s_name_for_a_request_is_returned(app: Flask) -> None:
    assert named(app.test_client(), "order-1851.a_b") == "order-1851.a_b"


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "+14155552671", "é", 'a"b', "a/b"])
def test_a_request_without_a_fit_name_is_given_one(app: Flask, given: str | None) -> None:
    first, second = (named(app.test_client(), given) for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def test_an_answer_that_is_an_error_is_named_too(app: Flask) -> None:
    client = app.test_client()
    for path in ("/nowhere", "/v1/messages"):
        answer = client.get(path, headers={"X-Request-ID": "r1"})
        assert answer.status_code in (401, 404)
        assert answer.headers["X-Request-ID"] == "r1"


def test_name_and_client_are_bound_during_a_request_and_not_after_it(
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


def test_a_callback_that_is_well_writes_no_line_and_carries_no_name(
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
    ours = [one for one in caplog.records if one.name.startswith(("waybill", "service"))]
    assert ours == []
