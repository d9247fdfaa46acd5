"""The whole path in one process: our app behind a socket, the real client, a carrier with books."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from demo.servers import free_port
from service.app import create_app
from service.database import db
from service.reconciliation import poll
from service.recording import consume_inbox
from service.sending import deliver
from simulator.config import Config
from simulator.running import Running, running
from tests.conftest import ACCOUNT, SINCH, TOKEN, make_key, make_settings

DELIVERED = {"delivered": 1.0}


@pytest.fixture
def carrier() -> Iterator[Running]:
    config = Config(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        sinch_plan=SINCH["SINCH_SERVICE_PLAN_ID"],
        sinch_token=SINCH["SINCH_API_TOKEN"],
        sinch_secret=SINCH["SINCH_CALLBACK_SECRETS"].partition(",")[0],
        pace=0.2,
        outcomes=DELIVERED,
    )
    with running(config) as simulator:
        yield simulator


@pytest.fixture
def whole(app: Flask, database_url: str, redis_url: str, carrier: Running) -> Iterator[Flask]:
    """An application with the real provider, listening where the carrier calls back."""
    port = free_port()
    settings = make_settings(
        database_url,
        redis_url,
        PUBLIC_BASE_URL=f"http://127.0.0.1:{port}",
        TWILIO_API_BASE_URL=carrier.url,
        TWILIO_READ_TIMEOUT="0.5",
        SINCH_API_BASE_URL=carrier.url,
        SINCH_READ_TIMEOUT="0.5",
        **SINCH,
    )
    bound = create_app(settings)
    server = make_server("127.0.0.1", port, bound, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield bound
    server.shutdown()
    thread.join()
    with bound.app_context():
        db.engine.dispose()


@pytest.fixture(params=["twilio", "sinch"])
def provider(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def api(whole: Flask) -> FlaskClient:
    client = whole.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(whole, 'shop')}"
    return client


def _send(whole: Flask, api: FlaskClient, provider: str) -> str:
    message = {"to": "+14155552671", "body": "Hello", "provider": provider}
    posted = api.post("/v1/messages", json=message).json
    assert posted is not None
    with whole.app_context():
        deliver.deliver()
    return str(posted["id"])


def _shown(whole: Flask, api: FlaskClient, message_id: str, status: str) -> dict[str, Any]:
    """Drain until the message shows a status; a worker would be woken to do it."""

    def read() -> dict[str, Any]:
        with whole.app_context():
            consume_inbox.drain()
        return dict(api.get(f"/v1/messages/{message_id}").json or {})

    return _eventually(read, lambda message: message["status"] == status)


def _eventually(
    read: Callable[[], dict[str, Any]], holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    until = time.monotonic() + 15
    while not holds(found := read()):
        assert time.monotonic() < until, found
    return found


def test_a_message_is_delivered_and_both_witnesses_tell_the_same_story(
    whole: Flask, provider: str, api: FlaskClient, carrier: Running
) -> None:
    message_id = _send(whole, api, provider)
    message = _shown(whole, api, message_id, "delivered")
    carrier.wait_until_idle()
    [entry] = carrier.records()["messages"]
    assert message["provider_sid"] == entry["sid"]
    assert entry["on_air"] == 1
    assert all(one["answer"] == 204 for one in entry["callbacks"])
    with whole.app_context():
        consume_inbox.drain()
    events = (api.get(f"/v1/messages/{message_id}/events").json or {})["events"]
    heard = sorted(event["provider_status"] for event in events if event["source"] == "callback")
    assert heard == sorted({one["status"] for one in entry["callbacks"]})


def test_a_callback_before_the_answer_to_its_send_ends_in_the_right_row(
    whole: Flask, provider: str, api: FlaskClient, carrier: Running
) -> None:
    """The carrier delivers, calls back, and only then answers our POST."""
    carrier.next_create("early")
    message = _shown(whole, api, _send(whole, api, provider), "delivered")
    assert message["provider_sid"] == carrier.records()["messages"][0]["sid"]


@pytest.mark.parametrize("fault", ["timeout", "cut", "500"])
def test_a_send_whose_answer_was_lost_is_proved_by_its_callback_and_sent_once(
    whole: Flask, provider: str, api: FlaskClient, carrier: Running, fault: str
) -> None:
    carrier.next_create(fault)
    message_id = _send(whole, api, provider)
    with whole.app_context():
        deliver.deliver()
    message = _shown(whole, api, message_id, "delivered")
    [entry] = carrier.records()["messages"]
    assert message["provider_sid"] == entry["sid"]


@pytest.mark.parametrize("fault", ["429", "cut-before", "500-unprocessed", "503"])
def test_a_send_that_was_not_taken_is_never_shown_as_sent(
    whole: Flask, provider: str, api: FlaskClient, carrier: Running, fault: str
) -> None:
    carrier.next_create(fault)
    message_id = _send(whole, api, provider)
    message = api.get(f"/v1/messages/{message_id}").json
    assert message is not None
    assert message["status"] == ("pending" if fault == "429" else "in_doubt")
    assert carrier.records()["messages"] == []


def test_the_carriers_refusal_is_explained_to_the_client(whole: Flask, api: FlaskClient) -> None:
    posted = api.post("/v1/messages", json={"to": "+15005550004", "body": "Hello"}).json
    assert posted is not None
    with whole.app_context():
        deliver.deliver()
    message = api.get(f"/v1/messages/{posted['id']}").json
    assert message is not None
    assert message["status"] == "failed"
    assert message["error"]["code"] == "21610"
    assert message["error"]["retryable"] is False
    assert "opted out" in message["error"]["explanation"]


def test_a_message_held_by_the_carrier_can_be_canceled_there(
    whole: Flask, provider: str, api: FlaskClient, carrier: Running
) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))
    posted = api.post(
        "/v1/messages",
        json={
            "to": "+14155552671",
            "body": "Hello",
            "provider": provider,
            "send_at": when,
            **({"messaging_service_sid": "MG" + "0" * 32} if provider == "twilio" else {}),
        },
    ).json
    assert posted is not None
    with whole.app_context():
        deliver.deliver()
    canceled = api.post(f"/v1/messages/{posted['id']}/cancel")
    assert canceled.status_code == 200
    assert (canceled.json or {})["status"] == "canceled"
    assert carrier.records()["messages"][0]["status"] == "canceled"


@pytest.mark.parametrize("fault", ["cut", "500"])
def test_a_doubt_that_no_callback_ends_is_ended_by_a_look_up(
    whole: Flask, provider: str, api: FlaskClient, carrier: Running, fault: str
) -> None:
    carrier.set_faults({"drop": 1.0})
    carrier.next_create(fault)
    message_id = _send(whole, api, provider)
    carrier.wait_until_idle()
    with whole.app_context():
        poll.reconcile([UUID(message_id)])
        poll.reconcile([UUID(message_id)], at_once=True)
    message = api.get(f"/v1/messages/{message_id}").json
    [entry] = carrier.records()["messages"]
    assert message is not None
    assert (message["status"], message["provider_sid"]) == ("delivered", entry["sid"])


def test_messages_that_look_the_same_are_told_apart_where_the_provider_knows_our_id(
    whole: Flask, api: FlaskClient, carrier: Running
) -> None:
    carrier.set_faults({"drop": 1.0})
    carrier.next_create("cut", 2)
    twins = [_send(whole, api, "sinch"), _send(whole, api, "sinch")]
    carrier.wait_until_idle()
    with whole.app_context():
        poll.reconcile([UUID(one) for one in twins])
    sids = {entry["reference"]: entry["sid"] for entry in carrier.records()["messages"]}
    for one in twins:
        [event] = (api.get(f"/v1/messages/{one}/events").json or {})["events"]
        assert event["provider_sid"] == sids[event["attempt_id"]]


def test_messages_are_listed_by_provider(whole: Flask, api: FlaskClient) -> None:
    sent = {name: _send(whole, api, name) for name in ("twilio", "sinch")}
    for name, message_id in sent.items():
        listed = (api.get(f"/v1/messages?provider={name}").json or {})["messages"]
        assert [(one["id"], one["provider"]) for one in listed] == [(message_id, name)]
