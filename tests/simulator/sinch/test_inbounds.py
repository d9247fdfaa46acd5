"""Persons who write to numbers of Sinch."""

import pytest

from simulator.sinch.signature import signed_headers

PERSON, NUMBER = "+14155552671", "+447700900001"
SIGNATURE = "x-sinch-webhook-signature"


@pytest.fixture
def listening(simulator, webhook):
    simulator.set_inbound_urls(sinch=webhook.url)
    return simulator


def write(simulator, body="Hello", **fields):
    return simulator.write(PERSON, body, **{"provider": "sinch", "to": NUMBER, **fields})


def test_message_reaches_the_url_signed(listening, webhook):
    entry = write(listening)
    [request] = webhook.received
    sent = {name.lower(): value for name, value in request.headers.items()}
    secret, nonce = listening.config.sinch_secret, sent[f"{SIGNATURE}-nonce"]
    timestamp = int(sent[f"{SIGNATURE}-timestamp"])
    assert signed_headers(secret, request.body, nonce, timestamp).items() <= sent.items()
    assert (request.json["type"], request.json["id"]) == ("mo_text", entry["sid"])
    assert (request.json["from"], request.json["to"]) == (PERSON[1:], NUMBER[1:])
    assert request.json["received_at"].endswith("Z")


def test_media_message_has_a_body_of_its_own(listening, webhook):
    write(listening, "Look", media=["https://m.example/1.png"])
    [request] = webhook.received
    assert (request.json["type"], request.json["body"]["message"]) == ("mo_media", "Look")
    assert request.json["body"]["media"][0]["content_type"] == "image/png"


def test_named_reply_has_the_client_reference(listening, plan, webhook):
    sid = plan.send(client_reference="mine").json()["id"]
    listening.wait_until_idle()
    listening.write(PERSON, "Yes?", in_reply_to=sid)
    assert webhook.received[0].json["client_reference"] == "mine"


def test_redelivery_has_the_same_signature(listening, webhook):
    webhook.answer = lambda request: 500 if len(webhook.received) < 2 else 204
    assert write(listening)["acknowledged"]
    assert len({(request.body, request.headers[SIGNATURE]) for request in webhook.received}) == 1
