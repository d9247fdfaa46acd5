"""Requests with messages from persons: verified, stored, answered; bad ones leave no trace."""

import base64
import hashlib
import hmac
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse

from service.database import db
from service.domain.status import Status
from service.models import DeadLetter, InboundMessage, Message, OptOut, Overflow, StatusEvent
from service.recording import consume_inbox
from service.sending import deliver
from service.web.callbacks import MAX_BODY
from tests.conftest import BASE_URL, SINCH, TOKEN
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, SENDER, form, signed
from tests.service.web.test_callbacks import made

EMULATOR = json.loads((Path(__file__).parents[2] / "fixtures/emulate-inbound.json").read_text())
SECRET = SINCH["SINCH_CALLBACK_SECRETS"].partition(",")[0]


@pytest.fixture(scope="module")
def caller(database_url: str, redis_url: str) -> Iterator[FlaskClient]:
    yield from made(database_url, redis_url, **SINCH)


@pytest.fixture
def client(app: Flask, caller: FlaskClient) -> FlaskClient:
    """A client of an application that checks real signatures; its stores are empty."""
    return caller


class Line(ABC):
    """Messages from a person over one provider."""

    name: str

    @property
    def path(self) -> str:
        return f"/inbound/{self.name}"

    @abstractmethod
    def body(self, text: str, sid: str, **changes: Any) -> bytes: ...

    @abstractmethod
    def headers(self, path: str, body: bytes, secret: str = "") -> dict[str, str]: ...

    def write(
        self, client: FlaskClient, text: str = "Hello", sid: str = "ID1", **changes: Any
    ) -> TestResponse:
        """Send a signed request."""
        body = self.body(text, sid, **changes)
        return client.post(self.path, data=body, headers=self.headers(self.path, body))


class TwilioLine(Line):
    name = "twilio"

    def body(self, text: str, sid: str, **changes: Any) -> bytes:
        return urlencode(form(text, MessageSid=sid, **changes)).encode()

    def headers(self, path: str, body: bytes, secret: str = "") -> dict[str, str]:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        made = RequestValidator(secret or TOKEN).compute_signature(BASE_URL + path, fields)
        kind = "application/x-www-form-urlencoded"
        return {"X-Twilio-Signature": made, "Content-Type": kind}


class SinchLine(Line):
    name = "sinch"

    def body(self, text: str, sid: str, **changes: Any) -> bytes:
        numbers = {"from": PERSON[1:], "to": SENDER[1:]}
        fields = {"type": "mo_text", "id": sid, "body": text, **numbers, **changes}
        return json.dumps(fields).encode()

    def headers(self, path: str, body: bytes, secret: str = "") -> dict[str, str]:
        now, name = str(int(time.time())), "X-Sinch-Webhook-Signature"
        text = body + f".nonce.{now}".encode()
        digest = hmac.digest((secret or SECRET).encode(), text, hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        return {name: signature, f"{name}-Nonce": "nonce", f"{name}-Timestamp": now}


@pytest.fixture(params=[TwilioLine(), SinchLine()], ids=lambda line: line.name)
def line(request: pytest.FixtureRequest) -> Line:
    line: Line = request.param
    return line


def recorded(client: FlaskClient) -> list[InboundMessage]:
    """Record what is stored; return the inbound messages."""
    with client.application.app_context():
        consume_inbox.consume_inbox()
        return list(db.session.scalars(select(InboundMessage).order_by(InboundMessage.id)))


def number_of(client: FlaskClient, model: Any) -> int:
    with client.application.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def assert_no_trace(client: FlaskClient) -> None:
    assert client.application.extensions["waybill"].inbox.lag() == 0
    assert recorded(client) == []
    for model in (Overflow, DeadLetter, StatusEvent, OptOut):
        assert number_of(client, model) == 0


ANSWERS = {
    "twilio": (200, "text/xml", b'<?xml version="1.0" encoding="UTF-8"?><Response />'),
    "sinch": (200, None, b""),
}


@pytest.mark.parametrize("place", ["inbound", "callbacks"])
def test_answer_is_the_one_that_the_provider_expects(
    client: FlaskClient, line: Line, place: str
) -> None:
    """A cookie would come back with the next message of the person, at Twilio for 4 hours."""
    path, body = f"/{place}/{line.name}", line.body("Hello", "ID1")
    answer = client.post(path, data=body, headers=line.headers(path, body))
    status, kind, text = ANSWERS[line.name]
    assert (answer.status_code, answer.headers.get("Content-Type"), answer.data) == (
        status,
        kind,
        text,
    )
    assert "Set-Cookie" not in answer.headers
    [message] = recorded(client)
    assert (message.provider, message.from_address, message.to_address) == (
        line.name,
        PERSON,
        SENDER,
    )


def test_status_callback_at_the_inbound_address_is_recorded_as_one(client: FlaskClient) -> None:
    """A Messaging Service that has one address for both."""
    path, line = "/inbound/twilio", TwilioLine()
    body = line.body("Hello", "SM1", MessageStatus="sent")
    answer = client.post(path, data=body, headers=line.headers(path, body))
    assert (answer.status_code, answer.data) == (204, b"")
    assert recorded(client) == []
    assert number_of(client, StatusEvent) == 1


@pytest.mark.parametrize("place", ["inbound", "callbacks"])
@pytest.mark.parametrize("fault", ["unsigned", "altered", "wrong secret", "wrong path"])
def test_refused_message_leaves_no_trace(
    client: FlaskClient, line: Line, place: str, fault: str
) -> None:
    path, body = f"/{place}/{line.name}", line.body("STOP", "ID1")
    headers = line.headers(path, body, "another" if fault == "wrong secret" else "")
    if fault == "unsigned":
        headers = {}
    if fault == "altered":
        body = line.body("STOP", "ID2")
    if fault == "wrong path":  # no attempt, so neither provider calls it
        path = f"/{place}/{'sinch' if line.name == 'twilio' else 'twilio'}"
    answer = client.post(path, data=body, headers=headers)
    assert (answer.status_code, answer.data) == (403, b"")
    assert_no_trace(client)


def test_message_of_64_kb_is_recorded_and_a_longer_one_refused(
    client: FlaskClient, line: Line
) -> None:
    text = "x" * (MAX_BODY - len(line.body("", "ID1")))
    assert line.write(client, text + "x").status_code == 413
    assert_no_trace(client)
    assert line.write(client, text).status_code == 200
    [message] = recorded(client)
    assert message.body == text


@pytest.mark.parametrize("text", ["", "\U0001f44b\U0001f3fd caf\xe9", "a\x00b", "\u202e<b>'\"&\n"])
def test_any_text_is_recorded(client: FlaskClient, line: Line, text: str) -> None:
    assert line.write(client, text).status_code == 200
    [message] = recorded(client)
    assert message.body == (text.replace("\x00", "\ufffd") or None)


@pytest.mark.parametrize("sender", ["AMAZON", "12345", "", "x" * 300, "\U0001f4a9", "whatsapp:"])
def test_sender_that_is_no_number_is_recorded(client: FlaskClient, line: Line, sender: str) -> None:
    changes = {"From": sender} if line.name == "twilio" else {"from": sender}
    assert line.write(client, "STOP", **changes).status_code == 200
    [message] = recorded(client)
    assert message.from_address == sender[:255]
    assert number_of(client, DeadLetter) == 0


def test_ten_media_are_recorded(client: FlaskClient, line: Line) -> None:
    links = [f"https://media.example.com/{number}" for number in range(10)]
    if line.name == "twilio":
        media = {f"MediaUrl{number}": link for number, link in enumerate(links)}
        line.write(client, "", NumMedia="10", **media)
    else:
        listed = [{"url": link, "status": "Uploaded", "code": 0} for link in links]
        line.write(client, type="mo_media", body={"media": listed})
    [message] = recorded(client)
    assert [each["url"] for each in message.media] == links
    assert message.body is None


def test_unknown_fields_are_kept(client: FlaskClient, line: Line) -> None:
    assert line.write(client, NewField="new").status_code == 200
    [message] = recorded(client)
    assert message.raw["NewField"] == "new"


def test_same_sid_is_recorded_once(client: FlaskClient, line: Line) -> None:
    """In one batch and later, with other fields, too: the first decides."""
    for text in ("first", "second"):
        assert line.write(client, text).status_code == 200
    assert [message.body for message in recorded(client)] == ["first"]
    assert line.write(client, "third").status_code == 200
    assert [message.body for message in recorded(client)] == ["first"]


def test_sid_of_an_own_send_changes_no_message(
    app: Flask, post: Post, provider: FakeProvider
) -> None:
    """A number of ours that writes to another one of ours."""
    message_id = post()
    deliver.deliver()
    [sent] = provider.on_air
    fields = form("Hello", MessageSid=provider.sid(sent.attempt_id), From=SENDER)
    client = app.test_client()
    assert client.post("/inbound/twilio", **signed("/inbound/twilio", fields)).status_code == 200
    assert [message.body for message in recorded(client)] == ["Hello"]
    with app.app_context():
        assert db.session.get_one(Message, message_id).status is Status.QUEUED


# vercel-labs/emulate


@pytest.fixture(scope="module")
def emulated(database_url: str, redis_url: str) -> Iterator[FlaskClient]:
    yield from made(
        database_url,
        redis_url,
        **SINCH,
        TWILIO_ACCOUNT_SID=EMULATOR["account_sid"],
        TWILIO_AUTH_TOKEN=EMULATOR["auth_token"],
        TWILIO_PHONE_NUMBER=EMULATOR["phone_number"],
        TWILIO_CALLBACK_OVERRIDES="none",
    )


def emulate(client: FlaskClient, name: str) -> int:
    """Send a request with the bytes of the emulator."""
    [sent] = [each for each in EMULATOR["requests"] if each["id"] == name]
    kind = "application/x-www-form-urlencoded"
    headers = {"Content-Type": kind, "X-Twilio-Signature": sent["signature"]}
    path = sent["url"].removeprefix(BASE_URL)
    return client.post(path, data=sent["body"].encode(), headers=headers).status_code


def opted_out(client: FlaskClient) -> set[str]:
    """Return the senders from which the person opted out."""
    with client.application.app_context():
        return set(db.session.scalars(select(OptOut.sender).where(OptOut.active)))


def test_inbound_simulation_of_the_emulator_is_heard(app: Flask, emulated: FlaskClient) -> None:
    service = "MG" + "0" * 32
    assert emulate(emulated, "stop") == 200
    assert [message.keyword for message in recorded(emulated)] == ["stop"]
    assert opted_out(emulated) == {EMULATOR["phone_number"], service}
    assert emulate(emulated, "reply") == 200
    assert emulate(emulated, "empty") == 200
    assert emulate(emulated, "start") == 200
    stop, reply, empty, start = recorded(emulated)
    assert (stop.messaging_service_sid, reply.messaging_service_sid) == (service, None)
    assert reply.body == "Yes, I'll come at 5 & bring *two* ~ d\xe9j\xe0 vu \U0001f600"
    assert (empty.body, start.keyword) == (None, "start")
    assert opted_out(emulated) == set()


def test_status_callback_of_the_emulator_is_no_message(app: Flask, emulated: FlaskClient) -> None:
    """It has the fields of an inbound message, and a MessageStatus."""
    assert emulate(emulated, "delivered") == 204
    assert recorded(emulated) == []
    assert number_of(emulated, StatusEvent) == 1
