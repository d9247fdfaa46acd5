"""Events reach the endpoints of a client, signed, with the whole message."""

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from standardwebhooks import Webhook

from service.recording import record
from service.sending import deliver
from service.webhooks import deliver as webhooks
from tests.fakes import FakeProvider, said
from tests.service.webhooks.receiver import Receiver

HELLO = {"to": "+14155552671", "body": "Your code is 123456"}
Subscribe = Callable[..., dict[str, Any]]


def send(web: FlaskClient, provider: FakeProvider, **fields: Any) -> str:
    """Post a message, send it, and let the provider report that it was delivered."""
    message_id = web.post("/v1/messages", json={**HELLO, **fields}).json["id"]
    deliver.deliver()
    record.record([said("delivered", attempt_id=provider.on_air[-1].attempt_id)])
    return str(message_id)


def test_final_status_is_delivered_signed(
    web: FlaskClient, provider: FakeProvider, subscribe: Subscribe, endpoint: Receiver
) -> None:
    secret = subscribe()["secret"]
    message_id = send(web, provider)
    webhooks.deliver()

    [request] = endpoint.received
    told = Webhook(secret).verify(request.body, request.headers)
    shown = web.get(f"/v1/messages/{message_id}").json
    assert told["type"] == "message.updated"
    assert told["data"] == {name: shown[name] for name in shown if name in told["data"]}
    assert (told["data"]["status"], "body" in told["data"]) == ("delivered", False)
    webhooks.deliver()
    assert len(endpoint.received) == 1


def test_feed_shows_the_same_events(
    web: FlaskClient, provider: FakeProvider, subscribe: Subscribe, endpoint: Receiver
) -> None:
    subscribe(statuses=["queued", "delivered"])
    send(web, provider)
    webhooks.deliver()

    feed = web.get("/v1/events").json
    assert {event["id"] for event in feed["events"]} == {
        request.headers["webhook-id"] for request in endpoint.received
    }
    behind = web.get(f"/v1/events?after={feed['next_cursor']}").json
    assert (behind["events"], behind["has_more"]) == ([], False)
