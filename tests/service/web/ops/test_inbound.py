"""Inbound messages without an owner: listed, given to a client, and on the overview."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service.database import db, transaction
from service.errors import Conflict
from service.inbound.record import record
from service.models import Client, Event, InboundMessage, WebhookEndpoint
from service.operations import inbound as operations
from service.operations import timeline
from service.providers.sandbox import SANDBOX
from service.queries import clients
from service.sending import deliver
from service.webhooks import deliver as webhooks
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, SENDER, heard
from tests.service.web.ops.conftest import Operator, Subscriber
from tests.service.web.ops.test_conversation import received
from tests.service.web.ops.test_overview import HEALTHY, all_replicas_announce
from tests.strategies import EPOCH

OTHER_SENDER = "+15005550007"


def owner(message_id: UUID) -> str | None:
    db.session.rollback()
    query = select(Client.name).join(InboundMessage, InboundMessage.client_id == Client.id)
    return db.session.scalars(query.where(InboundMessage.id == message_id)).one_or_none()


def make_older(message_id: UUID, age: timedelta) -> UUID:
    """Change a message as if it was recorded earlier; return its new id."""
    older = UUID(int=message_id.int - ((int(age.total_seconds()) * 1000) << 80))
    with transaction():
        rows = update(InboundMessage).where(InboundMessage.id == message_id)
        db.session.execute(rows.values(id=older))
    return older


@pytest.mark.usefixtures("client_id")
def test_list_has_only_messages_without_an_owner(post: Post, operator: Operator) -> None:
    unowned = received("Who are you?", To=OTHER_SENDER)
    post()
    deliver.deliver()
    owned = received("Fine")
    page = operator.get("/inbound").text
    assert str(unowned) in page
    assert str(owned) not in page
    assert OTHER_SENDER in page


def test_list_is_paged_newest_first(operator: Operator, context: Flask) -> None:
    ids = [received(From=f"+1415555{number:04}") for number in range(52)]
    first = operator.get("/inbound").text
    assert [f"/ops/inbound/{each}" in first for each in ids] == [False] * 2 + [True] * 50
    assert first.index(str(ids[-1])) < first.index(str(ids[2]))
    second = operator.get(f"/inbound?before={ids[2]}").text
    assert [f"/ops/inbound/{each}" in second for each in ids] == [True] * 2 + [False] * 50
    assert operator.get("/inbound?before=x").status_code == 200


@pytest.mark.usefixtures("events_told")
def test_given_message_is_told_to_its_client(
    web: FlaskClient, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    message_id = received("Where is my parcel?")
    assert web.get("/v1/inbound").json["messages"] == []
    answer = operator.post(f"/inbound/{message_id}/give", client="billing")
    assert answer.location == f"/ops/inbound/{message_id}"
    assert "billing has 1 message now, and learns of it by events." in operator.get("/inbound").text
    [event] = web.get("/v1/events?types=message.received").json["events"]
    assert event["data"]["id"] == str(message_id)
    [shown] = web.get("/v1/inbound").json["messages"]
    assert shown["body"] == "Where is my parcel?"
    [logged] = [each.msg for each in caplog.records if "inbound_given" in str(each.msg)]
    assert (logged["operator"], logged["message_id"]) == ("ada", message_id)
    assert PERSON not in caplog.text


def test_given_message_is_delivered_to_a_webhook(
    operator: Operator, subscriber: Subscriber
) -> None:
    types = {"types": ["message.received"]}
    with transaction():
        db.session.execute(update(WebhookEndpoint).values(**types))
    message_id = received()
    operator.post(f"/inbound/{message_id}/give", client="payments")
    webhooks.deliver()  # the endpoint answers 500
    page = operator.get(f"/inbound/{message_id}").text
    assert "1 attempt, answer 500; next attempt at" in page
    subscriber.books.answer = lambda _: (204, {})
    [retry] = [part for part in page.split('"') if part.endswith("/retry")]
    answer = operator.post(retry.removeprefix("/ops"), message=str(message_id))
    assert answer.location == f"/ops/messages/{message_id}"
    webhooks.deliver()
    assert "answer 204; delivered at" in operator.get(f"/inbound/{message_id}").text
    assert f"/ops/messages/{message_id}" in operator.get(f"/webhooks/{subscriber.id}").text


@pytest.mark.usefixtures("client_id")
def test_client_without_events_reads_the_message(operator: Operator) -> None:
    message_id = received()
    operator.post(f"/inbound/{message_id}/give", client="payments")
    assert owner(message_id) == "payments"
    assert "by GET /v1/inbound only" in operator.get("/inbound").text


@pytest.mark.usefixtures("client_id")
def test_others_to_the_sender_are_given_too(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_GIVEN", 3)
    ids = [received(From=f"+141555500{number:02}") for number in range(4)]
    elsewhere = received(To=OTHER_SENDER)
    page = operator.post(f"/inbound/{ids[3]}/give", client="payments", all="yes", list="yes")
    assert page.location == "/ops/inbound"
    given = [owner(each) for each in ids]
    assert (given.count("payments"), given[3], owner(elsewhere)) == (3, "payments", None)


@pytest.mark.usefixtures("client_id", "events_told")
def test_message_is_given_once_only(app: Flask, web: FlaskClient, operator: Operator) -> None:
    """Two operators press at the same time: one client gets it, and is told once."""
    message_id = received()
    names = ["billing", "payments"] * 3

    def give(name: str) -> bool:
        with app.app_context():
            try:
                return bool(operations.give(message_id, name, "ada"))
            except Conflict:
                return False

    with ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(give, names))
    assert results.count(True) == 1
    assert owner(message_id) == names[results.index(True)]
    assert len(db.session.scalars(select(Event.id)).all()) == 1
    operator.post(f"/inbound/{message_id}/give", client="billing")
    assert "has an owner already" in operator.get("/inbound").text


@pytest.mark.usefixtures("client_id")
@pytest.mark.parametrize("name", ["", "nobody", "\x00", "x" * 500])
def test_unknown_client_is_explained(operator: Operator, name: str) -> None:
    message_id = received()
    operator.post(f"/inbound/{message_id}/give", client=name)
    assert owner(message_id) is None
    assert "There is no client" in operator.get("/inbound").text


def test_unknown_message_is_not_found(operator: Operator) -> None:
    assert operator.get(f"/inbound/{uuid4()}").status_code == 404
    operator.post(f"/inbound/{uuid4()}/give", client="payments")
    assert "no such inbound message" in operator.get("/inbound").text


def test_message_of_a_test_key_is_not_given_to_a_live_client(
    operator: Operator, context: Flask
) -> None:
    message_id = received()
    with transaction():
        db.session.execute(update(InboundMessage).values(provider=SANDBOX))
        clients.ensure("trial", EPOCH, test=True)
        clients.ensure("live", EPOCH)
    operator.post(f"/inbound/{message_id}/give", client="live")
    assert owner(message_id) is None
    operator.post(f"/inbound/{message_id}/give", client="trial")
    assert owner(message_id) == "trial"


def test_page_of_a_message_shows_its_payload(post: Post, operator: Operator) -> None:
    answered = post()
    deliver.deliver()
    page = operator.get(f"/inbound/{received('Fine')}").text
    for part in (PERSON, SENDER, "Fine", "payments", str(answered), "NumSegments"):
        assert part in page
    assert "Give…" not in page


# The overview


def test_overview_counts_inbound_messages_by_keyword(
    operator: Operator, post: Post, fresh_overview: Callable[[], str]
) -> None:
    all_replicas_announce()
    post()
    deliver.deliver()
    assert "No inbound messages" in fresh_overview()
    record([heard(body) for body in ("STOP", "STOP", "START", "Hi")])
    make_older(received("STOP"), timedelta(hours=2))
    page = fresh_overview().partition('id="inbound"')[2].partition("</section>")[0]
    figures = [part.partition("<")[0] for part in page.split("<dd>")[1:]]
    assert figures == ["2", "1", "0", "1", "0"]
    assert HEALTHY in fresh_overview()


def test_overview_names_unowned_messages_for_a_day(
    context: Flask, fresh_overview: Callable[[], str]
) -> None:
    all_replicas_announce()
    message_id = make_older(received(), timedelta(hours=23))
    page = fresh_overview()
    assert "Degraded: 1 inbound message without an owner" in page
    assert 'href="/ops/inbound"' in page
    make_older(message_id, timedelta(hours=2))
    assert HEALTHY in fresh_overview()


def test_explain_describes_an_inbound_message(operator: Operator, subscriber: Subscriber) -> None:
    types = {"types": ["message.received"]}
    with transaction():
        db.session.execute(update(WebhookEndpoint).values(**types))
    message_id = received("STOP")
    [first, second, unowned] = timeline.explain(message_id)
    assert f"Message {message_id} is inbound" in first
    assert "read as STOP" in first
    assert "has no client" in unowned
    operator.post(f"/inbound/{message_id}/give", client="payments")
    db.session.rollback()
    [first, second, owned, webhook] = timeline.explain(message_id)
    assert "Its client is payments" in owned
    assert "0 attempts; next attempt at" in webhook
    assert PERSON not in " ".join([first, second, owned, webhook])
