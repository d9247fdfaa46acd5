"""Inbound messages: recorded once, with what follows from them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from service.database import db
from service.domain.status import Status
from service.inbound.record import record
from service.models import InboundMessage, Message
from service.recording import consume_inbox
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, SENDER, form, heard, signed

pytestmark = pytest.mark.usefixtures("context")


def status(message_id: UUID) -> Status:
    db.session.rollback()
    return db.session.scalars(select(Message.status).where(Message.id == message_id)).one()


def number_recorded() -> int:
    return db.session.scalar(select(func.count()).select_from(InboundMessage)) or 0


def test_request_is_answered_with_empty_twiml_and_recorded(app: Flask, web: FlaskClient) -> None:
    answer = app.test_client().post("/inbound/twilio", **signed("/inbound/twilio", form("Hi")))
    assert (answer.status_code, answer.content_type) == (200, "text/xml")
    assert answer.data == b'<?xml version="1.0" encoding="UTF-8"?><Response />'
    consume_inbox.consume_inbox()
    assert number_recorded() == 1


def test_stop_and_start(post: Post, provider: FakeProvider) -> None:
    record([heard("STOP")])
    refused = post()
    deliver.deliver()
    assert (status(refused), provider.on_air) == (Status.FAILED, [])
    record([heard("Start")])
    sent = post()
    deliver.deliver()
    assert status(sent) is Status.QUEUED


@pytest.mark.parametrize("first", ["STOP", "START"])
def test_wrong_order_ends_right(first: str, post: Post) -> None:
    """The later word counts, in either order of recording."""
    now = datetime.now(UTC)
    second = {"STOP": "START", "START": "STOP"}[first]
    record([heard(second, now)])
    record([heard(first, now - timedelta(seconds=1))])
    message_id = post()
    deliver.deliver()
    assert (status(message_id) is Status.FAILED) == (second == "STOP")


def test_repeat_changes_nothing(post: Post) -> None:
    stop = heard("STOP", MessageSid="SM" + "7" * 32)
    assert record([stop]) == 1
    record([heard("START")])
    later = datetime.now(UTC) + timedelta(seconds=1)
    assert record([stop._replace(received_at=later)]) == 0
    message_id = post()
    deliver.deliver()
    assert status(message_id) is Status.QUEUED


@pytest.mark.usefixtures("events_told")
def test_reply_goes_to_the_client_that_wrote(web: FlaskClient) -> None:
    answer = web.post("/v1/messages", json={"to": PERSON, "from": SENDER, "body": "How are you?"})
    deliver.deliver()
    record([heard("Fine")])
    [reply] = web.get("/v1/inbound").json["messages"]
    assert (reply["body"], reply["in_reply_to"]) == ("Fine", answer.json["id"])
    events = web.get("/v1/events?types=message.received").json["events"]
    assert [event["data"]["id"] for event in events] == [reply["id"]]
