"""The whole path in one process: the app behind a socket, and a simulated provider."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
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
from service.recording import consume_inbox, record_answers
from service.sending import deliver
from simulator.config import Config
from simulator.running import Running, running
from tests.conftest import ACCOUNT, SINCH, TOKEN, make_key, make_settings

DELIVERED = {"delivered": 1.0}


@pytest.fixture
def simulator() -> Iterator[Running]:
    config = Config(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        sinch_plan=SINCH["SINCH_SERVICE_PLAN_ID"],
        sinch_token=SINCH["SINCH_API_TOKEN"],
        sinch_secret=SINCH["SINCH_CALLBACK_SECRETS"].partition(",")[0],
        pace=0.2,
        outcomes=DELIVERED,
    )
    with running(config) as running_simulator:
        yield running_simulator


@pytest.fixture
def full_app(
    app: Flask, database_url: str, redis_url: str, stores: Mapping[str, str], simulator: Running
) -> Iterator[Flask]:
    """An application with the real providers that listens for callbacks of the simulator."""
    port = free_port()
    settings = make_settings(
        database_url,
        redis_url,
        PUBLIC_BASE_URL=f"http://127.0.0.1:{port}",
        TWILIO_API_BASE_URL=simulator.url,
        TWILIO_READ_TIMEOUT="0.5",
        SINCH_API_BASE_URL=simulator.url,
        SINCH_READ_TIMEOUT="0.5",
        **SINCH,
        **stores,
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
def api(full_app: Flask) -> FlaskClient:
    client = full_app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(full_app, 'shop')}"
    return client


def _send(full_app: Flask, api: FlaskClient, provider: str) -> str:
    message = {"to": "+14155552671", "body": "Hello", "provider": provider}
    posted = api.post("/v1/messages", json=message).json
    assert posted is not None
    with full_app.app_context():
        deliver.deliver()
    return str(posted["id"])


def _await_status(
    full_app: Flask, api: FlaskClient, message_id: str, status: str
) -> dict[str, Any]:
    """Drain until the message has this status, as a worker would."""

    def read() -> dict[str, Any]:
        with full_app.app_context():
            consume_inbox.consume_inbox()
        return dict(api.get(f"/v1/messages/{message_id}").json or {})

    return _eventually(read, lambda message: message["status"] == status)


def _eventually(
    read: Callable[[], dict[str, Any]], holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    while not holds(value := read()):
        assert time.monotonic() < deadline, value
    return value


def test_delivered_message_matches_the_provider_records(
    full_app: Flask, provider: str, api: FlaskClient, simulator: Running
) -> None:
    message_id = _send(full_app, api, provider)
    message = _await_status(full_app, api, message_id, "delivered")
    simulator.wait_until_idle()
    [entry] = simulator.records()["messages"]
    assert message["provider_sid"] == entry["sid"]
    assert entry["on_air"] == 1
    assert all(callback["answer"] == 204 for callback in entry["callbacks"])
    with full_app.app_context():
        consume_inbox.consume_inbox()
    events = (api.get(f"/v1/messages/{message_id}/events").json or {})["events"]
    recorded = sorted(event["provider_status"] for event in events if event["source"] == "callback")
    assert recorded == sorted({callback["status"] for callback in entry["callbacks"]})


def test_callback_before_the_answer_finds_its_message(
    full_app: Flask, provider: str, api: FlaskClient, simulator: Running
) -> None:
    """The simulator sends the callbacks before it answers the POST."""
    simulator.next_create("early")
    message = _await_status(full_app, api, _send(full_app, api, provider), "delivered")
    assert message["provider_sid"] == simulator.records()["messages"][0]["sid"]


@pytest.mark.parametrize("fault", ["timeout", "cut", "500"])
def test_callback_proves_a_send_with_a_lost_answer(
    full_app: Flask,
    provider: str,
    api: FlaskClient,
    simulator: Running,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a slow machine the delivery goes on until the message is due again.
    monkeypatch.setattr(record_answers, "backoff", lambda *_: timedelta(minutes=1))
    simulator.next_create(fault)
    message_id = _send(full_app, api, provider)
    with full_app.app_context():
        deliver.deliver()
    message = _await_status(full_app, api, message_id, "delivered")
    [entry] = simulator.records()["messages"]
    assert message["provider_sid"] == entry["sid"]


@pytest.mark.parametrize("fault", ["429", "cut-before", "500-unprocessed", "503"])
def test_send_that_was_not_accepted_is_not_shown_as_sent(
    full_app: Flask,
    provider: str,
    api: FlaskClient,
    simulator: Running,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a slow machine the delivery goes on until the message is due again.
    monkeypatch.setattr(record_answers, "backoff", lambda *_: timedelta(minutes=1))
    simulator.next_create(fault)
    message_id = _send(full_app, api, provider)
    message = api.get(f"/v1/messages/{message_id}").json
    assert message is not None
    assert message["status"] == ("pending" if fault == "429" else "in_doubt")
    assert simulator.records()["messages"] == []


def test_provider_refusal_is_explained_to_the_client(full_app: Flask, api: FlaskClient) -> None:
    posted = api.post("/v1/messages", json={"to": "+15005550004", "body": "Hello"}).json
    assert posted is not None
    with full_app.app_context():
        deliver.deliver()
    message = api.get(f"/v1/messages/{posted['id']}").json
    assert message is not None
    assert message["status"] == "failed"
    assert message["error"]["code"] == "21610"
    assert message["error"]["retryable"] is False
    assert "opted out" in message["error"]["explanation"]


def test_message_scheduled_at_the_provider_can_be_canceled(
    full_app: Flask, provider: str, api: FlaskClient, simulator: Running
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
    with full_app.app_context():
        deliver.deliver()
    canceled = api.post(f"/v1/messages/{posted['id']}/cancel")
    assert canceled.status_code == 200
    assert (canceled.json or {})["status"] == "canceled"
    assert simulator.records()["messages"][0]["status"] == "canceled"


@pytest.mark.parametrize("fault", ["cut", "500"])
def test_look_up_resolves_a_doubt_without_callbacks(
    full_app: Flask, provider: str, api: FlaskClient, simulator: Running, fault: str
) -> None:
    simulator.set_faults({"drop": 1.0})
    simulator.next_create(fault)
    message_id = _send(full_app, api, provider)
    simulator.wait_until_idle()
    with full_app.app_context():
        poll.reconcile([UUID(message_id)])
        poll.reconcile([UUID(message_id)], force=True)
    message = api.get(f"/v1/messages/{message_id}").json
    [entry] = simulator.records()["messages"]
    assert message is not None
    assert (message["status"], message["provider_sid"]) == ("delivered", entry["sid"])


def test_equal_messages_are_matched_by_client_reference(
    full_app: Flask, api: FlaskClient, simulator: Running
) -> None:
    simulator.set_faults({"drop": 1.0})
    simulator.next_create("cut", 2)
    twins = [_send(full_app, api, "sinch"), _send(full_app, api, "sinch")]
    simulator.wait_until_idle()
    with full_app.app_context():
        poll.reconcile([UUID(message_id) for message_id in twins])
    sids = {entry["reference"]: entry["sid"] for entry in simulator.records()["messages"]}
    for message_id in twins:
        [event] = (api.get(f"/v1/messages/{message_id}/events").json or {})["events"]
        assert event["provider_sid"] == sids[event["attempt_id"]]


def test_messages_are_filtered_by_provider(full_app: Flask, api: FlaskClient) -> None:
    sent = {name: _send(full_app, api, name) for name in ("twilio", "sinch")}
    for name, message_id in sent.items():
        listed = (api.get(f"/v1/messages?provider={name}").json or {})["messages"]
        assert [(message["id"], message["provider"]) for message in listed] == [(message_id, name)]
