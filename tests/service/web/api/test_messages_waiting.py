"""`waiting`: why a message is not sent, in words that its client may see."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from service.database import db
from service.domain.scope import Scope
from service.errors import Blocked
from service.models import Hold
from service.operations import holds
from service.providers.base import Outbound
from service.sending import deliver
from tests.fakes import FakeProvider


def post(web: FlaskClient, to: str = "+14155552671") -> dict[str, Any]:
    answer: dict[str, Any] = web.post("/v1/messages", json={"to": to, "body": "Hello"}).json
    return answer


def show(web: FlaskClient, posted: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = web.get(f"/v1/messages/{posted['id']}").json
    return answer


def block(provider: FakeProvider, error: Blocked) -> None:
    def refuse(_: Outbound) -> None:
        raise error

    provider.script = refuse  # type: ignore[assignment]


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """Texts of the statements that a test runs."""
    texts = list[str]()

    def note(*arguments: Any) -> None:
        texts.append(arguments[2])

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
        yield texts
        event.remove(db.engine, "before_cursor_execute", note)


def test_message_waits_from_block_to_release(
    context: Flask, web: FlaskClient, provider: FakeProvider
) -> None:
    posted = post(web)
    assert posted["waiting"] is None
    assert show(web, posted)["waiting"] is None
    block(provider, Blocked("AC123 is suspended, call +46701234567", "20005"))
    deliver.deliver()
    waiting = show(web, posted)["waiting"]
    assert waiting["reason"] == "the provider account is blocked by the provider (error 20005)"
    since = datetime.fromisoformat(waiting["since"])
    assert abs((datetime.now(UTC) - since).total_seconds()) < 60
    provider.script = None
    db.session.rollback()
    holds.release(db.session.scalars(select(Hold.id)).one(), "ada")
    deliver.deliver()
    assert show(web, posted)["waiting"] is None
    assert show(web, posted)["status"] == "queued"


@pytest.mark.parametrize(
    ("scope", "name", "word"),
    [("provider", "twilio", "provider"), ("client", "billing", "client")],
)
def test_reason_of_a_pause_is_not_shown_to_clients(
    context: Flask, web: FlaskClient, scope: str, name: str, word: str
) -> None:
    holds.pause(scope, name, "they do not pay their bills", "ada")
    posted = post(web)
    deliver.deliver()
    reason = show(web, posted)["waiting"]["reason"]
    assert word in reason
    assert "operator" in reason
    assert "bills" not in reason
    assert "ada" not in reason


def test_blocked_country_is_named_in_plain_words(
    context: Flask, web: FlaskClient, provider: FakeProvider
) -> None:
    block(provider, Blocked("geo permission", "21408", scope=Scope.COUNTRY))
    posted = post(web)
    deliver.deliver()
    assert "recipient's country" in show(web, posted)["waiting"]["reason"]


def test_list_reads_all_holds_with_one_query(
    context: Flask, web: FlaskClient, statements: list[str]
) -> None:
    holds.pause("provider", "twilio", "", "ada")
    for _ in range(10):
        post(web)
    deliver.deliver()
    statements.clear()
    listed = web.get("/v1/messages").json["messages"]
    assert len([message for message in listed if message["waiting"]]) == 10
    assert len([text for text in statements if "FROM hold" in text]) == 1


def test_list_without_waiting_messages_reads_no_hold(
    context: Flask, web: FlaskClient, statements: list[str]
) -> None:
    post(web)
    statements.clear()
    assert web.get("/v1/messages").json["messages"][0]["waiting"] is None
    assert not [text for text in statements if "FROM hold" in text]
