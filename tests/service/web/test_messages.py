"""The API of messages, over a real database and a real Redis."""

from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.flows import sending
from tests.conftest import make_key
from tests.fakes import FakeProvider

HELLO = {"to": "+14155552671", "body": "Hello"}


def test_a_posted_message_is_accepted_and_can_be_read_at_its_location(web: FlaskClient) -> None:
    posted = web.post("/v1/messages", json={**HELLO, "reference": "r-1", "metadata": {"a": 1}})

    assert posted.status_code == 202, posted.json
    read = web.get(posted.headers["Location"])
    assert read.json == posted.json
    assert posted.json["status"] == "pending"
    assert posted.json["final"] is False
    assert posted.json["reference"] == "r-1"
    assert posted.json["metadata"] == {"a": 1}
    assert posted.json["from"] == "+15005550006"


def test_a_delivered_message_shows_what_the_provider_said(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    posted = web.post("/v1/messages", json=HELLO).json
    with app.app_context():
        sending.deliver(UUID(posted["id"]))
    read = web.get(f"/v1/messages/{posted['id']}").json
    assert read["status"] == "queued"
    assert read["provider_sid"] == provider.sid(provider.on_air[0].attempt_id)
