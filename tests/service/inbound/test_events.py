"""The event of an inbound message: to whom it goes, what it has, and when it is told again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from service.database import db, transaction
from service.event_feed import start
from service.inbound.record import record
from service.models import InboundMessage, WebhookDelivery, WebhookEndpoint
from service.queries import events
from service.sending import deliver as sending
from service.webhooks import deliver as webhooks
from tests.service.inbound.conversation import PERSON, SENDER, heard
from tests.service.webhooks.conftest import allowed, endpoint, subscribe
from tests.service.webhooks.receiver import Receiver

__all__ = ["allowed", "endpoint", "subscribe"]

Subscribe = Callable[..., dict[str, Any]]
RECEIVED = ["message.received"]


def send(web: FlaskClient, **fields: Any) -> str:
    """Post a message and send it; return its id."""
    message = {"to": PERSON, "from": SENDER, "body": "How are you?", **fields}
    answer = web.post("/v1/messages", json=message)
    assert answer.status_code == 202, answer.json
    sending.deliver()
    return str(answer.json["id"])


def told(endpoint: Receiver) -> list[dict[str, Any]]:
    """Deliver what is due; return the events about inbound messages."""
    webhooks.deliver()
    return [each.json for each in endpoint.received if each.json["type"] == "message.received"]


def feed(web: FlaskClient, query: str = "types=message.received") -> list[dict[str, Any]]:
    answer = web.get(f"/v1/events?{query}")
    assert answer.status_code == 200, answer.json
    events: list[dict[str, Any]] = answer.json["events"]
    return events


def test_webhook_has_the_content_only_with_include_body(
    web: FlaskClient, subscribe: Subscribe, endpoint: Receiver
) -> None:
    message_id = send(web)
    created = subscribe(types=RECEIVED)
    record([heard("Fine", NumMedia="1", MediaUrl0="https://api.twilio.com/m")])
    [event] = told(endpoint)
    shown = web.get(f"/v1/inbound/{event['data']['id']}").json
    assert (shown["body"], shown["in_reply_to"]) == ("Fine", message_id)
    assert event["data"] == {
        name: value for name, value in shown.items() if name not in ("body", "media", "raw")
    }
    web.patch(f"/v1/webhook-endpoints/{created['id']}", json={"include_body": True})
    record([heard("Still fine")])
    assert told(endpoint)[-1]["data"]["body"] == "Still fine"


def test_endpoint_gets_replies_only_if_it_asks(
    web: FlaskClient, subscribe: Subscribe, endpoint: Receiver
) -> None:
    send(web)
    assert subscribe()["types"] == ["message.updated"]
    record([heard("Fine")])
    assert told(endpoint) == []
    assert len(feed(web)) == 1


def test_status_filter_does_not_hide_replies(
    web: FlaskClient, subscribe: Subscribe, endpoint: Receiver
) -> None:
    send(web)
    subscribe(types=["message.updated", *RECEIVED], statuses=["failed"])
    record([heard("Fine")])
    assert len(told(endpoint)) == 1


def test_reply_goes_to_the_endpoint_of_the_answered_message(
    web: FlaskClient, subscribe: Subscribe, endpoint: Receiver
) -> None:
    first, second = (subscribe(types=RECEIVED)["id"] for _ in range(2))
    send(web, webhook_endpoint=second)
    record([heard("Fine")])
    db.session.rollback()
    assert db.session.scalars(select(WebhookDelivery.endpoint_id)).all() == [UUID(second)]
    send(web)
    record([heard("Fine")])
    db.session.rollback()
    owed = db.session.scalars(select(WebhookDelivery.endpoint_id)).all()
    assert sorted(map(str, owed)) == sorted([first, second, second])


def test_disabled_and_deleted_endpoints_are_owed_nothing(
    web: FlaskClient, subscribe: Subscribe
) -> None:
    send(web)
    kept, disabled, deleted = (subscribe(types=RECEIVED)["id"] for _ in range(3))
    now = datetime.now(UTC)
    with transaction():
        off = update(WebhookEndpoint).filter_by(id=UUID(disabled))
        db.session.execute(off.values(disabled_at=now))
    web.delete(f"/v1/webhook-endpoints/{deleted}")
    record([heard("Fine")])
    db.session.rollback()
    assert db.session.scalars(select(WebhookDelivery.endpoint_id)).all() == [UUID(kept)]


def test_recovery_repeats_replies_to_the_endpoint_of_their_message(
    web: FlaskClient, subscribe: Subscribe, endpoint: Receiver
) -> None:
    """Those that came before the endpoint was created, and not those to another endpoint."""
    other = subscribe(types=["message.updated"])
    send(web, webhook_endpoint=other["id"])
    record([heard("Not for you")])
    send(web)
    record([heard("Fine")])
    created = subscribe(types=RECEIVED)
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    path = f"/v1/webhook-endpoints/{created['id']}/recover"
    assert web.post(path, json={"since": since}).json["recovered"] == 1
    [event] = told(endpoint)
    assert web.get(f"/v1/inbound/{event['data']['id']}").json["body"] == "Fine"
    assert web.post(path, json={"since": since}).json["recovered"] == 0


def test_start_of_events_shows_earlier_replies_once(web: FlaskClient, context: object) -> None:
    send(web)
    record([heard("First"), heard("Second")])
    assert {event["data"]["body"] for event in feed(web)} == {"First", "Second"}
    record([heard("Third")])
    assert [event["data"]["body"] for event in feed(web)][2:] == ["Third"]


def test_start_of_events_is_bounded(
    web: FlaskClient, context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "MOST_EARLIER", 1)
    send(web)
    record([heard("First")])
    record([heard("Second")])
    assert [event["data"]["body"] for event in feed(web)] == ["Second"]


@pytest.mark.usefixtures("events_told")
def test_feed_shows_both_kinds_in_one_order(web: FlaskClient) -> None:
    message_id = send(web)
    record([heard("Fine")])
    shown = [
        (event["type"], event["data"]["id"])
        for event in feed(web, "types=message.updated,message.received")
    ]
    [reply] = web.get("/v1/inbound").json["messages"]
    assert shown[-2:] == [("message.updated", message_id), ("message.received", reply["id"])]


@pytest.mark.usefixtures("events_told")
def test_reader_that_names_no_type_gets_every_type(web: FlaskClient) -> None:
    send(web)
    record([heard("Fine")])
    assert {event["type"] for event in feed(web, "")} == {"message.updated", "message.received"}


@pytest.mark.usefixtures("events_told")
def test_rare_type_is_found_in_bounded_pages(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_COMPARED", 2)
    for _ in range(3):
        send(web)
    record([heard("Fine")])
    shown, more, cursor, pages = list[str](), True, "", 0
    while more:
        page = web.get(f"/v1/events?types=message.received{cursor}").json
        shown += [event["data"]["body"] for event in page["events"]]
        more, cursor, pages = page["has_more"], f"&after={page['next_cursor']}", pages + 1
    assert (shown, pages > 1) == (["Fine"], True)
    record([heard("Still fine")])
    page = web.get(f"/v1/events?types=message.received{cursor}").json
    assert [event["data"]["body"] for event in page["events"]] == ["Still fine"]


@pytest.mark.usefixtures("events_told")
def test_event_of_a_deleted_message_is_passed(
    web: FlaskClient, subscribe: Subscribe, endpoint: Receiver
) -> None:
    send(web)
    subscribe(types=RECEIVED)
    record([heard("Gone")])
    with transaction():
        db.session.execute(delete(InboundMessage))
    assert told(endpoint) == []
    record([heard("Here")])
    assert [event["data"]["body"] for event in feed(web)] == ["Here"]
    assert len(told(endpoint)) == 1
