"""The whole path in one process: our app behind a socket, the real client, a carrier with books."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from demo.servers import free_port
from service.app import create_app
from service.extensions import db
from service.flows import draining, sending
from simulator.config import Config
from simulator.running import Running, running
from tests.conftest import ACCOUNT, TOKEN, make_key, make_settings

DELIVERED = {"delivered": 1.0}


@pytest.fixture
def carrier() -> Iterator[Running]:
    config = Config(account_sid=ACCOUNT, auth_token=TOKEN, pace=0.2, fates=DELIVERED)
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


@pytest.fixture
def api(whole: Flask) -> FlaskClient:
    client = whole.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(whole, 'shop')}"
    return client


def _send(whole: Flask, api: FlaskClient) -> str:
    posted = api.post("/v1/messages", json={"to": "+14155552671", "body": "Hello"}).json
    assert posted is not None
    with whole.app_context():
        sending.deliver()
    return str(posted["id"])


def _shown(whole: Flask, api: FlaskClient, message_id: str, status: str) -> dict[str, Any]:
    """Drain until the message shows a status; a worker would be woken to do it."""

    def read() -> dict[str, Any]:
        with whole.app_context():
            draining.drain()
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
    whole: Flask, api: FlaskClient, carrier: Running
) -> None:
    message_id = _send(whole, api)
    message = _shown(whole, api, message_id, "delivered")
    carrier.wait_until_idle()
    [entry] = carrier.books()["messages"]
    assert message["provider_sid"] == entry["sid"]
    assert entry["on_air"] == 1
    assert all(one["answer"] == 204 for one in entry["callbacks"])
    with whole.app_context():
        draining.drain()
    events = (api.get(f"/v1/messages/{message_id}/events").json or {})["events"]
    heard = sorted(event["provider_status"] for event in events if event["source"] == "callback")
    assert heard == sorted({one["status"] for one in entry["callbacks"]})


def test_a_callback_before_the_answer_to_its_send_ends_in_the_right_row(
    whole: Flask, api: FlaskClient, carrier: Running
) -> None:
    """The carrier delivers, calls back, and only then answers our POST."""
    carrier.next_create("early")
    message = _shown(whole, api, _send(whole, api), "delivered")
    assert message["provider_sid"] == carrier.books()["messages"][0]["sid"]


@pytest.mark.parametrize("fault", ["timeout", "cut", "500"])
def test_a_send_whose_answer_was_lost_is_proved_by_its_callback_and_sent_once(
    whole: Flask, api: FlaskClient, carrier: Running, fault: str
) -> None:
    carrier.next_create(fault)
    message_id = _send(whole, api)
    with whole.app_context():
        sending.deliver()
    message = _shown(whole, api, message_id, "delivered")
    [entry] = carrier.books()["messages"]
    assert message["provider_sid"] == entry["sid"]


@pytest.mark.parametrize("fault", ["429", "cut-before", "500-unprocessed", "503"])
def test_a_send_that_was_not_taken_is_never_shown_as_sent(
    whole: Flask, api: FlaskClient, carrier: Running, fault: str
) -> None:
    carrier.next_create(fault)
    message_id = _send(whole, api)
    message = api.get(f"/v1/messages/{message_id}").json
    assert message is not None
    assert message["status"] == ("pending" if fault == "429" else "in_doubt")
    assert carrier.books()["messages"] == []


def test_the_carriers_refusal_is_explained_to_the_client(whole: Flask, api: FlaskClient) -> None:
    posted = api.post("/v1/messages", json={"to": "+15005550004", "body": "Hello"}).json
    assert posted is not None
    with whole.app_context():
        sending.deliver()
    message = api.get(f"/v1/messages/{posted['id']}").json
    assert message is not None
    assert message["status"] == "failed"
    assert message["error"]["code"] == "21610"
    assert message["error"]["retryable"] is False
    assert "opted out" in message["error"]["explanation"]


def test_a_message_held_by_the_carrier_can_be_canceled_there(
    whole: Flask, api: FlaskClient, carrier: Running
) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))
    posted = api.post(
        "/v1/messages",
        json={
            "to": "+14155552671",
            "body": "Hello",
            "messaging_service_sid": "MG" + "0" * 32,
            "send_at": when,
        },
    ).json
    assert posted is not None
    with whole.app_context():
        sending.deliver()
    canceled = api.post(f"/v1/messages/{posted['id']}/cancel")
    assert canceled.status_code == 200
    assert (canceled.json or {})["status"] == "canceled"
    assert carrier.books()["messages"][0]["status"] == "canceled"
