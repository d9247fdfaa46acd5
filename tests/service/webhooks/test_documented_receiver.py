"""The receiver of docs/webhooks.md runs, with requests that Waybill makes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from standardwebhooks import WebhookVerificationError

from service.recording import record
from service.sending import deliver as sending
from service.webhooks import deliver
from tests.fakes import FakeProvider, said
from tests.service.webhooks.receiver import Received, Receiver

Subscribe = Callable[..., dict[str, Any]]
GUIDE = Path(__file__).parents[3] / "docs/webhooks.md"
BOUND = {"body", "media_urls", "content_variables"}


def documented(secret: str) -> dict[str, Any]:
    """Return the names that the Python code of the guide defines, and its store of messages."""
    [code] = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"secret": secret, "messages": {}}
    exec(code, names)
    return names


@pytest.fixture
def requests(web: FlaskClient, provider: FakeProvider, endpoint: Receiver) -> Callable[[], Any]:
    """Send a message and report two statuses; return the requests of both, and the message."""

    def made() -> tuple[list[Received], dict[str, Any]]:
        message_id = web.post(
            "/v1/messages", json={"to": "+14155552671", "body": "Your code is 123456"}
        ).json["id"]
        sending.deliver()
        for word in ("sent", "delivered"):
            attempt_id = provider.on_air[-1].attempt_id
            record.record([said(word, attempt_id=attempt_id)])
            deliver.deliver()
        return endpoint.received, web.get(f"/v1/messages/{message_id}").json

    return made


def test_documented_receiver_keeps_the_newest_version(
    subscribe: Subscribe, requests: Callable[[], Any]
) -> None:
    receiver = documented(subscribe(statuses=["sent", "delivered"])["secret"])
    received, shown = requests()
    assert len(received) == 2
    for request in [*reversed(received), *received]:
        receiver["receive"](request.headers, request.body)
    [kept] = receiver["messages"].values()
    assert kept == {name: value for name, value in shown.items() if name not in BOUND}


def test_documented_receiver_refuses_an_altered_body(
    subscribe: Subscribe, requests: Callable[[], Any]
) -> None:
    receiver = documented(subscribe(statuses=["delivered"])["secret"])
    [request], _ = requests()
    with pytest.raises(WebhookVerificationError):
        receiver["receive"](request.headers, request.body.replace(b"delivered", b"failed"))
    assert receiver["messages"] == {}


@pytest.mark.parametrize("include_body", [False, True])
def test_webhook_body_is_as_the_openapi_document_says(
    app: Flask, subscribe: Subscribe, requests: Callable[[], Any], include_body: bool
) -> None:
    subscribe(statuses=["delivered"], include_body=include_body)
    [request], _ = requests()
    api = app.test_client().get("/openapi.json").json or {}
    schema = api["components"]["schemas"]["MessageUpdated"]
    Draft202012Validator({**schema, "components": api["components"]}).validate(request.json)
    assert bool(BOUND & request.json["data"].keys()) is include_body
