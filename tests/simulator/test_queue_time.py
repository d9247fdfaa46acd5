"""Messages in the provider's queue, and those that expire there."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

FROM, TO = "+15005550006", "+15017122661"
SERVICE = "MG00000000000000000000000000000001"


def send_batch(simulator, webhook, **fields):
    config = simulator.config
    url = f"{simulator.url}/xms/v1/{config.sinch_plan}/batches"
    headers = {"Authorization": f"Bearer {config.sinch_token}"}
    batch = {
        "to": [TO],
        "from": "ACME",
        "body": "Hello",
        "delivery_report": "per_recipient",
        "callback_url": webhook.url,
    }
    return requests.post(url, json=batch | fields, headers=headers, timeout=10)


def in_seconds(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.fixture(params=[{"from_": FROM}, {"messaging_service_sid": SERVICE}])
def sender(request):
    return request.param


def test_twilio_message_expires_in_the_queue(simulator, client, webhook, sender):
    simulator.keep_queued(60)
    message = client.messages.create(
        to=TO, body="Hello", validity_period=1, status_callback=webhook.url, **sender
    )
    simulator.wait_until_idle()
    entry = simulator.message(message.sid)
    assert (entry["status"], entry["error_code"], entry["on_air"]) == ("failed", 30036, 0)
    assert entry["on_air_at"] == []
    assert datetime.now(UTC) >= datetime.fromisoformat(entry["expires_at"])
    assert webhook.form("failed")["ErrorCode"] == "30036"
    fetched = client.messages(message.sid).fetch()
    assert (fetched.status, fetched.error_code, fetched.price) == ("failed", 30036, None)


def test_sinch_batch_expires_in_the_queue(simulator, webhook):
    simulator.keep_queued(60)
    batch = send_batch(simulator, webhook, expire_at=in_seconds(0.3)).json()
    simulator.wait_until_idle()
    last = webhook.received[-1].json
    assert (last["status"], last["code"], last["batch_id"]) == ("Expired", 406, batch["id"])
    assert simulator.message(batch["id"])["on_air"] == 0


def test_sinch_batch_that_arrives_late_is_never_sent(simulator, webhook):
    batch = send_batch(simulator, webhook, expire_at=in_seconds(-1)).json()
    simulator.wait_until_idle()
    entry = simulator.message(batch["id"])
    assert (entry["status"], entry["on_air"]) == ("failed", 0)


def test_message_that_leaves_the_queue_in_time_is_delivered(simulator, client):
    simulator.keep_queued(0.1)
    sid = client.messages.create(to=TO, from_=FROM, body="Hello", validity_period=30).sid
    simulator.wait_until_idle()
    entry = simulator.message(sid)
    assert (entry["status"], entry["on_air"]) == ("delivered", 1)
    [on_air_at] = map(datetime.fromisoformat, entry["on_air_at"])
    queued = on_air_at - datetime.fromisoformat(entry["created_at"])
    assert queued >= timedelta(seconds=0.1)
    assert on_air_at < datetime.fromisoformat(entry["expires_at"])


def test_message_in_transmission_does_not_expire(start, client_of):
    simulator = start(seed=56, pace=12)  # on the air after 0.1 s, delivered after 1.4 s
    sid = (
        client_of(simulator).messages.create(to=TO, from_=FROM, body="Hello", validity_period=1).sid
    )
    simulator.wait_until_idle(30)
    entry = simulator.message(sid)
    assert (entry["status"], entry["on_air"]) == ("delivered", 1)
    assert datetime.now(UTC) > datetime.fromisoformat(entry["expires_at"])


def test_validity_of_a_scheduled_message_begins_when_it_is_sent(simulator, client):
    message = client.messages.create(
        to=TO,
        messaging_service_sid=SERVICE,
        body="later",
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(hours=1),
        validity_period=30,
    )
    assert simulator.message(message.sid)["expires_at"] is None
    simulator.release(message.sid)
    simulator.wait_until_idle()
    assert simulator.message(message.sid)["status"] == "delivered"


def test_validity_has_the_defaults_of_the_providers(simulator, client, webhook):
    sid = client.messages.create(to=TO, from_=FROM, body="Hello").sid
    batch = send_batch(simulator, webhook).json()
    validity = {
        entry["sid"]: datetime.fromisoformat(entry["expires_at"])
        - datetime.fromisoformat(entry["created_at"])
        for entry in simulator.records()["messages"]
    }
    assert round(validity[sid].total_seconds()) == 36_000
    assert round(validity[batch["id"]].total_seconds()) == 3 * 86_400


@pytest.mark.parametrize("seconds", [0, 36_001])
def test_validity_period_out_of_range_is_rejected(client, seconds):
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=TO, from_=FROM, body="Hello", validity_period=seconds)
    assert caught.value.code == 21624


def test_sinch_batch_must_not_expire_before_it_is_sent(simulator, webhook):
    times = {"send_at": in_seconds(600), "expire_at": in_seconds(300)}
    answer = send_batch(simulator, webhook, **times)
    assert (answer.status_code, answer.json()["code"]) == (400, "syntax_constraint_violation")


@pytest.mark.parametrize("body", [{}, {"seconds": -1}, {"seconds": "long"}, {"seconds": 86_401}])
def test_invalid_queue_time_is_rejected(simulator, body):
    url = f"{simulator.url}/_simulator/queue"
    assert requests.post(url, json=body, timeout=10).status_code == 400
    assert requests.get(url, timeout=10).json() == {"seconds": 0}
