"""Messages of a test key reach no provider; test and live keys share nothing."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from service.database import db
from service.models import Client
from service.recording import consume_inbox
from service.sending import deliver
from tests.conftest import make_key
from tests.fakes import FakeProvider

HELLO = {"to": "+14155552671", "body": "Hello"}


@pytest.fixture
def tests(app: Flask) -> FlaskClient:
    """A client of the API with a test key of the same name as `web`'s."""
    made = app.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.output.strip()}"
    return client


def posted(client: FlaskClient, key: str | None = None) -> dict[str, object]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post("/v1/messages", json=HELLO, headers=headers)
    assert answer.status_code == 202
    return dict(answer.json or {})


def listed(client: FlaskClient) -> list[str]:
    return [message["id"] for message in (client.get("/v1/messages").json or {})["messages"]]


def test_message_of_a_test_key_reaches_no_provider(
    tests: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    message = posted(tests)
    assert (message["test"], message["provider"]) == (True, "sandbox")
    with app.app_context():
        deliver.deliver()
        consume_inbox.consume_inbox()
    shown = tests.get(f"/v1/messages/{message['id']}").json or {}
    assert (shown["status"], shown["test"]) == ("delivered", True)
    assert provider.on_air == []


def test_sandbox_callbacks_pass_inbox_and_ledger(tests: FlaskClient, app: Flask) -> None:
    message = posted(tests)
    with app.app_context():
        deliver.deliver()
        before = tests.get(f"/v1/messages/{message['id']}").json or {}
        consume_inbox.consume_inbox()
    assert before["status"] == "queued"  # the answer; the callbacks wait
    events = (tests.get(f"/v1/messages/{message['id']}/events").json or {})["events"]
    assert sorted((event["source"], event["status"]) for event in events) == [
        ("api", "queued"),
        ("callback", "delivered"),
        ("callback", "sent"),
    ]


def test_message_of_a_live_key_is_not_a_test(web: FlaskClient) -> None:
    assert posted(web)["test"] is False


def test_test_and_live_keys_share_no_messages(web: FlaskClient, tests: FlaskClient) -> None:
    live, test = posted(web)["id"], posted(tests)["id"]
    assert (listed(web), listed(tests)) == ([live], [test])
    for client, other in ((web, test), (tests, live)):
        assert client.get(f"/v1/messages/{other}").status_code == 404
        assert client.get(f"/v1/messages/{other}/events").status_code == 404
        assert client.post(f"/v1/messages/{other}/cancel").status_code == 404


def test_test_and_live_keys_share_no_idempotency_keys(web: FlaskClient, tests: FlaskClient) -> None:
    """Else what a test posted would keep the real message from going out."""
    test, live = posted(tests, key="order-1"), posted(web, key="order-1")
    assert test["id"] != live["id"]
    assert live["test"] is False


def test_batch_of_a_test_key_has_only_tests(tests: FlaskClient) -> None:
    answer = tests.post("/v1/messages/batch", json={"messages": [HELLO, HELLO]})
    assert [result["message"]["test"] for result in (answer.json or {})["results"]] == [True, True]


def test_callback_for_the_sandbox_is_refused(tests: FlaskClient) -> None:
    refused = tests.post("/callbacks/sandbox/x", data={"MessageStatus": "delivered"})
    assert refused.status_code == 403


def test_list_marks_test_keys_of_a_client(context: Flask) -> None:
    live = make_key(context, "billing")
    made = context.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    assert made.output.startswith("wb_test_")
    assert db.session.scalar(select(func.count()).select_from(Client)) == 2
    lines = context.test_cli_runner().invoke(args=["clients", "list"]).output.splitlines()
    assert "(test)" not in lines[0]
    assert live[:8] in lines[0]
    assert "billing (test)  " + made.output[:13] in lines[1]
    assert made.output.strip() not in lines[1]


def test_post_that_names_provider_test_is_pointed_to_sandbox(
    web: FlaskClient, tests: FlaskClient
) -> None:
    for client in (web, tests):
        refused = client.post("/v1/messages", json={**HELLO, "provider": "test"})
        [error] = (refused.json or {})["errors"]
        assert (refused.status_code, error["field"]) == (422, "provider")
        assert "now called sandbox" in error["message"]
