"""The statuses of messages, and the callbacks that report them."""

import pytest
from twilio.request_validator import RequestValidator

FROM, TO = "+15005550006", "+15017122661"
SERVICE = "MG00000000000000000000000000000001"


@pytest.fixture
def send(start, client_of, webhook):
    """Send one message with this outcome; return its record when all callbacks were sent."""

    def send_one(outcome, **order):
        simulator = start(outcomes={outcome: 1}, pace=1)
        if "messaging_service_sid" not in order:
            order = {"from_": FROM} | order
        order = {"to": TO, "body": "Hello"} | order
        client = client_of(simulator)
        sid = client.messages.create(status_callback=webhook.url, **order).sid
        simulator.wait_until_idle()
        return simulator.message(sid)

    return send_one


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        ("delivered", ["queued", "sending", "sent", "delivered"]),
        ("undelivered-30003", ["queued", "sending", "sent", "undelivered"]),
        ("failed-30008", ["queued", "failed"]),
        ("sent", ["queued", "sending", "sent"]),
    ],
)
def test_first_status_and_sending_are_not_reported(send, webhook, outcome, statuses):
    entry = send(outcome)
    assert entry["statuses"] == statuses
    assert entry["on_air"] == statuses.count("sending")
    assert sorted(webhook.statuses) == sorted({*statuses[1:]} - {"sending"})


def test_messaging_service_message_reports_queued(send, webhook):
    entry = send("delivered", messaging_service_sid=SERVICE)
    assert entry["statuses"] == ["accepted", "queued", "sending", "sent", "delivered"]
    assert sorted(webhook.statuses) == ["delivered", "queued", "sent"]
    for callback in webhook.received:
        assert callback.form["MessagingServiceSid"] == SERVICE
        assert callback.form["From"] == FROM


@pytest.mark.parametrize(
    ("channel", "sender"), [("whatsapp", f"whatsapp:{FROM}"), ("rcs", "rcs:waybill_agent")]
)
def test_channel_messages_end_with_read(send, webhook, channel, sender):
    send("delivered", to=f"{channel}:{TO}", from_=sender)
    assert sorted(webhook.statuses) == ["delivered", "read", "sent"]
    read = webhook.form("read")
    assert (read["EventType"], read["ChannelPrefix"]) == ("READ", channel)
    assert read["ChannelInstallSid"].startswith("XE")
    assert read["To"] == f"{channel}:{TO}"
    assert "RawDlrDoneDate" not in read


def test_whatsapp_masks_the_number(send, webhook):
    send("delivered", to=f"whatsapp:{TO}", from_=f"whatsapp:{FROM}")
    assert webhook.received[0].form["ChannelToAddress"] == "+1501712XXXX"


def test_channel_failure_has_a_message(send, webhook):
    send("undelivered-30005", to=f"whatsapp:{TO}", from_=f"whatsapp:{FROM}")
    end = webhook.form("undelivered")
    assert (end["ErrorCode"], end["EventType"]) == ("63003", "UNDELIVERED")
    assert end["ChannelStatusMessage"]


def test_callback_has_the_fields_of_twilio(send, webhook):
    sid = send("undelivered-30006")["sid"]
    sent, undelivered = webhook.form("sent"), webhook.form("undelivered")
    assert sent == {
        "SmsSid": sid,
        "SmsStatus": "sent",
        "MessageStatus": "sent",
        "To": TO,
        "MessageSid": sid,
        "AccountSid": "AC00000000000000000000000000000001",
        "From": FROM,
        "ApiVersion": "2010-04-01",
    }
    assert undelivered.keys() - sent.keys() == {"ErrorCode", "RawDlrDoneDate"}
    assert undelivered["ErrorCode"] == "30006"
    assert len(undelivered["RawDlrDoneDate"]) == 10


def test_callback_has_the_headers_of_twilio(send, webhook):
    send("delivered")
    headers = webhook.received[0].headers
    assert headers["User-Agent"] == "TwilioProxy/1.1"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert headers["X-Home-Region"] == "us1"
    tokens = {callback.headers["I-Twilio-Idempotency-Token"] for callback in webhook.received}
    assert len(tokens) == len(webhook.received)


def test_official_validator_accepts_every_callback(send, webhook):
    send("delivered", body="Grüße & ämter + 100 %")
    validator = RequestValidator("simulator-auth-token")
    assert len(webhook.received) == 2
    for callback in webhook.received:
        signature = callback.headers["X-Twilio-Signature"]
        assert validator.validate(webhook.url, callback.form, signature)
        assert not validator.validate(webhook.url + "x", callback.form, signature)


def test_callback_path_is_unchanged_and_has_no_fragment(simulator, client, webhook):
    url = webhook.url + "&q='%27+%20~#rc=2&rp=all"
    client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=url)
    simulator.wait_until_idle()
    callback = webhook.received[0]
    assert callback.path == "/status?note_id=a%2Fb&q='%27+%20~"
    signature = callback.headers["X-Twilio-Signature"]
    validator = RequestValidator(simulator.config.auth_token)
    assert validator.validate(url.partition("#")[0], callback.form, signature)


def test_no_callbacks_without_a_callback_url(simulator, client, webhook):
    client.messages.create(to=TO, from_=FROM, body="Hello")
    simulator.wait_until_idle()
    assert webhook.received == []
    assert simulator.summary()["callbacks"]["due"] == 0
