"""Recipients of test keys write back, and change nothing for others."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from service.database import db, transaction
from service.models import Client, ClientSender, OptOut
from service.recording import consume_inbox
from service.sending import deliver
from tests.strategies import EPOCH

pytestmark = pytest.mark.usefixtures("context")
SENDER = "+15005550006"


@pytest.fixture
def tester(app: Flask, web: FlaskClient) -> FlaskClient:
    """A client of the API with a test key of the same name as `web`."""
    made = app.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.output.strip()}"
    return client


def exchange(tester: FlaskClient, to: str) -> str:
    """Send a message and record what comes back; return its id."""
    posted = tester.post("/v1/messages", json={"to": to, "from": SENDER, "body": "Hello"})
    deliver.deliver()
    consume_inbox.consume_inbox()
    message_id: str = posted.json["id"]
    return message_id


def own_sender_of_live_client() -> None:
    query = select(Client.id).where(~Client.test)
    with transaction():
        owner = db.session.scalars(query).one()
        db.session.add(ClientSender(sender=SENDER, client_id=owner, created_at=EPOCH))


@pytest.mark.parametrize(
    ("to", "text", "keyword"),
    [
        ("+15005550170", "STOP", "stop"),
        ("+15005550171", "START", "start"),
        ("+15005550172", "Thank you!", None),
    ],
)
def test_reply_goes_to_the_client_of_the_test_key(
    tester: FlaskClient, web: FlaskClient, to: str, text: str, keyword: str | None
) -> None:
    """Also where a live client owns the sender: its numbers are not used by tests."""
    own_sender_of_live_client()
    message_id = exchange(tester, to)
    [reply] = tester.get("/v1/inbound").json["messages"]
    assert (reply["from"], reply["to"], reply["body"]) == (to, SENDER, text)
    assert (reply["keyword"], reply["in_reply_to"]) == (keyword, message_id)
    assert web.get("/v1/inbound").json["messages"] == []


def test_stop_of_the_sandbox_opts_nobody_out(tester: FlaskClient) -> None:
    exchange(tester, "+15005550170")
    assert db.session.scalar(select(func.count()).select_from(OptOut)) == 0
    second = exchange(tester, "+15005550170")
    assert tester.get(f"/v1/messages/{second}").json["status"] == "delivered"
    assert len(tester.get("/v1/inbound").json["messages"]) == 2
