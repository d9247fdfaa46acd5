"""The Messages resource, used by the official client."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

FROM, TO = "+15005550006", "+15017122661"
SERVICE = "MG00000000000000000000000000000001"


def scheduled(client, **more):
    return client.messages.create(
        to=TO,
        messaging_service_sid=SERVICE,
        body="later",
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(hours=1),
        **more,
    )


def test_create_returns_the_whole_resource(simulator, client):
    message = client.messages.create(to=TO, from_=FROM, body="Hello")
    assert message.sid.startswith("SM")
    assert len(message.sid) == 34
    assert (message.to, message.from_, message.body) == (TO, FROM, "Hello")
    assert (message.status, message.direction) == ("queued", "outbound-api")
    assert (message.num_segments, message.num_media) == ("1", "0")
    assert (message.price, message.price_unit) == (None, "USD")
    assert (message.error_code, message.error_message) == (None, None)
    assert message.date_sent is None
    assert abs(datetime.now(UTC) - message.date_created) < timedelta(seconds=5)
    assert message.account_sid == simulator.config.account_sid
    assert message.uri.endswith(f"/Messages/{message.sid}.json")


def test_messaging_service_message_starts_without_sender(client):
    message = client.messages.create(to=TO, messaging_service_sid=SERVICE, body="Hello")
    assert (message.status, message.num_segments) == ("accepted", "0")
    assert message.from_ is None
    assert message.messaging_service_sid == SERVICE


def test_message_with_media_has_an_mms_sid(client):
    media = ["https://example.com/cat.png", "https://example.com/dog.png"]
    message = client.messages.create(to=TO, from_=FROM, media_url=media)
    assert message.sid.startswith("MM")
    assert message.num_media == "2"


def test_fetch_shows_the_final_status(simulator, client):
    sid = client.messages.create(to=TO, messaging_service_sid=SERVICE, body="Hello").sid
    simulator.wait_until_idle()
    message = client.messages(sid).fetch()
    assert message.status == "delivered"
    assert message.price == "-0.00790"
    assert message.date_sent is not None
    assert (message.from_, message.num_segments) == ("+15005550006", "1")


def test_fetch_explains_a_failure(start, client_of):
    simulator = start(outcomes={"undelivered-30005": 1})
    client = client_of(simulator)
    sid = client.messages.create(to=TO, from_=FROM, body="Hello").sid
    simulator.wait_until_idle()
    message = client.messages(sid).fetch()
    assert (message.status, message.error_code) == ("undelivered", 30005)
    assert message.error_message == "Unknown destination handset"


def test_unknown_message_is_not_found(client):
    with pytest.raises(TwilioRestException) as caught:
        client.messages("SM" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


def test_wrong_token_is_rejected(simulator, client_of):
    with pytest.raises(TwilioRestException) as caught:
        client_of(simulator, token="wrong").messages.create(to=TO, from_=FROM, body="Hello")
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_errors_have_the_body_of_twilio(simulator):
    config = simulator.config
    answer = requests.post(
        f"{simulator.url}/2010-04-01/Accounts/{config.account_sid}/Messages.json",
        auth=(config.account_sid, config.auth_token),
        data={"From": FROM, "Body": "Hello"},
        timeout=5,
    )
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 21604,
        "message": "A 'To' phone number is required",
        "more_info": "https://www.twilio.com/docs/errors/21604",
        "status": 400,
    }
    assert answer.headers["Twilio-Request-Id"].startswith("RQ")


def test_scheduled_message_can_be_canceled(simulator, client, webhook):
    message = scheduled(client, status_callback=webhook.url)
    assert message.status == "scheduled"
    assert client.messages(message.sid).update(status="canceled").status == "canceled"
    simulator.wait_until_idle()
    assert webhook.statuses == ["canceled"]
    assert simulator.message(message.sid)["on_air"] == 0


def test_control_api_sends_a_scheduled_message_now(simulator, client):
    sid = scheduled(client).sid
    simulator.wait_until_idle()
    simulator.release(sid)
    simulator.wait_until_idle()
    statuses = ["scheduled", "queued", "sending", "sent", "delivered"]
    assert simulator.message(sid)["statuses"] == statuses


def test_message_being_sent_cannot_be_canceled(simulator, client):
    sid = client.messages.create(to=TO, from_=FROM, body="Hello").sid
    with pytest.raises(TwilioRestException) as caught:
        client.messages(sid).update(status="canceled")
    assert (caught.value.status, caught.value.code) == (409, 30409)


def test_redaction_removes_the_text_and_keeps_its_hash(simulator, client):
    sid = client.messages.create(to=TO, from_=FROM, body="secret").sid
    before = simulator.message(sid)["body_sha256"]
    simulator.wait_until_idle()
    assert client.messages(sid).update(body="").body == ""
    assert simulator.message(sid)["body"] == ""
    assert simulator.message(sid)["body_sha256"] == before


def test_body_cannot_be_changed(simulator, client):
    sid = client.messages.create(to=TO, from_=FROM, body="Hello").sid
    simulator.wait_until_idle()
    with pytest.raises(TwilioRestException) as caught:
        client.messages(sid).update(body="Goodbye")
    assert caught.value.status == 400


def test_deleted_message_stays_in_the_records(simulator, client):
    sid = client.messages.create(to=TO, from_=FROM, body="Hello").sid
    simulator.wait_until_idle()
    assert client.messages(sid).delete()
    with pytest.raises(TwilioRestException):
        client.messages(sid).fetch()
    assert client.messages.list() == []
    assert simulator.message(sid)["deleted"]


def test_message_being_sent_cannot_be_deleted(start, client_of):
    client = client_of(start(pace=1000))
    sid = client.messages.create(to=TO, from_=FROM, body="Hello").sid
    with pytest.raises(TwilioRestException) as caught:
        client.messages(sid).delete()
    assert (caught.value.status, caught.value.code) == (409, 20009)
