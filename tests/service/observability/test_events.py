"""Events: each is logged once, with its ids, and is listed in docs/logging.md."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from service.database import db
from service.errors import Blocked, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.models import Message
from service.observability import logging
from service.operations import holds, operator_actions
from service.reconciliation import poll
from service.recording import consume_inbox
from service.sending import claim, deliver
from tests.conftest import make_settings
from tests.fakes import FakeProvider, fake_signature
from tests.messages import Post
from tests.strategies import EPOCH
from tests.test_documentation import table

ROOT = Path(__file__).parents[3]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(app: Flask, capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    settings = make_settings("sqlite:///unused.db", "redis://127.0.0.1:1", LOG_FORMAT="json")
    logging.configure(settings)

    def read() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [line for line in lines if line["logger"] == "waybill"]

    yield read
    logging.configure(make_settings("sqlite:///unused.db", "redis://127.0.0.1:1"))


def call_back(app: Flask, attempt_id: object, body: bytes) -> None:
    path = f"/callbacks/twilio/{attempt_id}"
    signed = {"X-Fake-Signature": fake_signature(path, body)}
    assert app.test_client().post(path, data=body, headers=signed).status_code == 204


def test_documented_events_match_the_code() -> None:
    code = (ROOT / "service/observability/events.py").read_text()
    events = set(re.findall(r'log\.(info|warning|error)\(\s*"([\w -]+)"', code))
    rows = table((ROOT / "docs/logging.md").read_text(), "Events")
    assert {(level, event.strip("`")) for event, level, *_ in rows} == events


def test_message_is_logged_from_post_to_callback(
    web: FlaskClient, context: Flask, provider: FakeProvider, lines: Lines
) -> None:
    posted = web.post(
        "/v1/messages",
        json={"to": "+14155552671", "body": "Hello"},
        headers={"X-Request-ID": "r1"},
    )
    assert posted.json is not None
    message_id = posted.json["id"]
    deliver.deliver()
    [outbound] = provider.on_air
    call_back(context, outbound.attempt_id, b"MessageStatus=delivered")
    consume_inbox.consume_inbox()

    accepted, sent, recorded = lines()
    assert (accepted["event"], accepted["request_id"]) == ("accepted", "r1")
    assert (sent["event"], sent["attempt_id"]) == ("sent", str(outbound.attempt_id))
    assert sent["provider_sid"] == provider.sid(outbound.attempt_id)
    assert accepted["message_id"] == sent["message_id"] == message_id
    assert accepted["client_id"] == sent["client_id"]
    assert (recorded["event"], recorded["message_ids"]) == ("recorded", [message_id])


def test_messages_of_a_batch_are_logged_once_each(web: FlaskClient, lines: Lines) -> None:
    batch = {"messages": [{"to": f"+1415555267{n}", "body": "Hello"} for n in range(3)]}
    for _ in range(2):
        web.post("/v1/messages/batch", json=batch, headers={"Idempotency-Key": "k"})

    logged = lines()
    assert [line["event"] for line in logged] == ["accepted"] * 3
    assert len({line["message_id"] for line in logged}) == 3


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Refused("no", "21211"), "refused"),
        (Blocked("inactive", "20005"), "blocked"),
        (NotAccepted("later", "20429"), "not accepted"),
        (OutcomeUnknown("no answer", "20500"), "in doubt"),
    ],
)
def test_provider_error_is_logged_with_its_code(
    post: Post, provider: FakeProvider, lines: Lines, error: ProviderError, event: str
) -> None:
    def answer(_: object) -> Any:
        raise error

    provider.script = answer
    message_id = post()
    lines()
    deliver.deliver()

    [line] = [line for line in lines() if line["event"] != "hold opened"]
    assert (line["event"], line["code"]) == (event, error.code)
    assert (line["message_id"], line["level"]) == (str(message_id), "warning")


def test_message_of_a_dead_worker_is_logged_in_doubt(post: Post, lines: Lines) -> None:
    message_id = post()
    claim.claim(1)
    db.session.execute(update(Message).values(claimed_until=EPOCH))
    db.session.commit()
    lines()
    claim.expire_claims()

    [line] = lines()
    assert (line["event"], line["message_id"]) == ("in doubt", str(message_id))


def test_invalid_signature_is_logged_without_foreign_text(app: Flask, lines: Lines) -> None:
    for attempt in (str(UUID(int=7)), "Hello-14155552671"):
        app.test_client().post(f"/callbacks/twilio/{attempt}", data=b"MessageStatus=sent")

    with_id, without_id = lines()
    assert (with_id["event"], with_id["reason"]) == ("invalid signature", "mismatch")
    assert (with_id["attempt_id"], without_id["attempt_id"]) == (str(UUID(int=7)), None)


def test_dead_letter_is_logged_with_the_error_type(context: Flask, lines: Lines) -> None:
    call_back(context, UUID(int=7), b"poison")
    consume_inbox.consume_inbox()

    [line] = [line for line in lines() if line["event"] == "dead letter"]
    assert (line["reason"], line["attempt_id"]) == ("ZeroDivisionError", str(UUID(int=7)))
    assert line["level"] == "error"


def test_reconciliation_and_operator_action_are_logged(
    post: Post, provider: FakeProvider, lines: Lines
) -> None:
    def lose(_: object) -> Any:
        raise OutcomeUnknown("no answer")

    provider.script = lose
    message_id = post()
    deliver.deliver()
    lines()
    poll.reconcile([message_id])
    operator_actions.give_up(message_id, "maria")

    looked_up, action = (line for line in lines() if line["event"] != "recorded")
    assert (looked_up["event"], looked_up["result"]) == ("reconciled", "not_found")
    assert (action["event"], action["action"]) == ("operator action", "given_up")
    assert action["operator"] == "maria"
    assert action["message_id"] == looked_up["message_id"] == str(message_id)


def test_block_is_logged_without_the_text_of_the_provider(
    post: Post, provider: FakeProvider, lines: Lines
) -> None:
    def refuse(_: Any) -> None:
        raise Blocked("call +46701234567", "20005")

    provider.script = refuse  # type: ignore[assignment]
    post()
    deliver.deliver()
    [opened] = [line for line in lines() if line["event"] == "hold opened"]
    assert (opened["level"], opened["scope"], opened["code"]) == ("error", "account", "20005")
    assert opened["reason"] == "Explained: 20005."
    provider.script = None
    db.session.rollback()
    holds.release(opened["hold"], "ada")
    ended, action = lines()
    assert (ended["event"], ended["operator"]) == ("hold ended", "ada")
    assert (action["event"], action["action"]) == ("operator action", "released")
