"""Posted addresses are stored in one spelling, and messages again by any spelling."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from service.database import db
from service.models import Message
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.opt_outs import store

NUMBER, SENDER = "+14155552671", "+15005550006"
SERVICE = "MG" + "0" * 31 + "a"
WHATSAPP = {"to": "WhatsApp:+1 415 555 2671", "from": "whatsapp:+1 (500) 555-0006", "body": "Hi"}


def post(web: FlaskClient, **fields: str) -> TestResponse:
    return web.post("/v1/messages", json={"to": NUMBER, "body": "Hello", **fields})


def error(answer: TestResponse) -> tuple[str, str]:
    """Return field and reason of the only error."""
    assert answer.status_code == 422, answer.json
    assert answer.content_type == "application/problem+json"
    [one] = answer.json["errors"]
    return one["field"], one["message"]


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("+1415555CALL", "letters"),
        ("+14155552671 ext. 89", "extension"),
        ("+441111", "area code"),
        ("messenger:+14155552671", "unknown channel"),
        ("whatsapp:+1415555CALL", "letters"),
        ("rcs:agent", "not a phone number"),
    ],
)
def test_unusable_recipient_is_refused_with_a_reason(
    web: FlaskClient, to: str, reason: str
) -> None:
    field, message = error(post(web, to=to))
    assert field == "to"
    assert reason in message
    assert "+14155552671" in message or "whatsapp:" in message
    assert to not in message


def test_old_mexican_mobile_is_sent_to_its_current_number(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    assert post(web, to="+5215512345678").json["to"] == "+525512345678"
    deliver.deliver()
    assert [outbound.to for outbound in provider.on_air] == ["+525512345678"]


def test_channel_address_is_stored_normalised(web: FlaskClient) -> None:
    answer = post(web, **WHATSAPP)
    assert (answer.json["to"], answer.json["from"]) == (f"whatsapp:{NUMBER}", f"whatsapp:{SENDER}")


def test_batch_accepts_valid_and_explains_invalid_items(web: FlaskClient) -> None:
    items = [
        WHATSAPP,
        {"to": "+1415555CALL", "body": "Hi"},
        {"to": "+1 415 555 2671", "body": "Hi"},
    ]
    first, second, third = web.post("/v1/messages/batch", json={"messages": items}).json["results"]
    assert first["message"]["to"] == f"whatsapp:{NUMBER}"
    assert second["problem"]["errors"][0]["field"] == "to"
    assert third["message"]["to"] == NUMBER


@pytest.mark.parametrize(
    "spelling", [NUMBER, "+1 (415) 555-2671", f"whatsapp:{NUMBER}", "WHATSAPP:+1 415 555 2671"]
)
def test_message_is_listed_by_any_spelling_of_its_recipient(
    web: FlaskClient, spelling: str
) -> None:
    made = post(web, **WHATSAPP).json["id"]
    post(web, to="+14155552672")
    listed = web.get("/v1/messages", query_string={"to": spelling}).json["messages"]
    assert [message["id"] for message in listed] == [made]


def test_number_filter_matches_every_channel(web: FlaskClient) -> None:
    made = {post(web, **WHATSAPP).json["id"], post(web).json["id"]}

    def listed(to: str) -> set[str]:
        messages = web.get("/v1/messages", query_string={"to": to}).json["messages"]
        return {message["id"] for message in messages}

    assert listed(NUMBER) == made
    assert len(listed(f"whatsapp:{NUMBER}")) == 1


def test_forget_erases_a_number_on_every_channel(web: FlaskClient, context: Flask) -> None:
    post(web, **WHATSAPP)
    done = context.test_cli_runner().invoke(args=["forget", "+1 (415) 555-2671"])
    assert "later, when it ends" in done.output
    db.session.rollback()
    assert db.session.scalars(select(Message.forget_as)).one() is not None


def test_opt_outs_are_found_by_any_spelling(context: Flask) -> None:
    store(NUMBER, SENDER)
    store(f"whatsapp:{NUMBER}", SENDER)

    def run(*arguments: str) -> Result:
        db.session.rollback()
        return context.test_cli_runner().invoke(args=["opt-outs", *arguments])

    assert "2 opt-outs" in run("list", "+1 415 555 2671").output
    assert "1 opt-outs" in run("list", "WhatsApp:+1 415 555 2671").output
    assert "E.164" in run("list", "4155552671").output
    assert "E.164" in run("remove", NUMBER, "--sender", "+1500555CALL").output
    assert run("remove", "+1.415.555.2671", "--sender", "+1 500 555 0006").stdout == "removed 2\n"


@pytest.mark.parametrize(
    ("sender", "stored"),
    [("(500) 555-0006", SENDER), ("72345", "72345"), ("ACME", "ACME"), (" Acme ", "Acme")],
)
def test_sender_is_stored_normalised(
    web: FlaskClient, configure: Callable[..., None], sender: str, stored: str
) -> None:
    configure(default_region="US")
    assert post(web, **{"from": sender}).json["from"] == stored


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        (SERVICE, "messaging_service_sid"),
        ("TWELVELETTER", "12 characters"),
        ("(500) 555-0006", "must begin with +"),
        ("Caf\u00e9", "invalid characters"),
    ],
)
def test_unusable_sender_is_refused_with_a_reason(
    web: FlaskClient, sender: str, reason: str
) -> None:
    field, message = error(post(web, **{"from": sender}))
    assert field == "from"
    assert reason in message


def test_opt_out_applies_to_every_spelling_of_the_sender(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    store(NUMBER, SENDER)
    made = post(web, to="+1 415 555 2671", **{"from": "+1 (500) 555-0006"}).json["id"]
    deliver.deliver()
    assert provider.on_air == []
    assert web.get(f"/v1/messages/{made}").json["status"] == "failed"
