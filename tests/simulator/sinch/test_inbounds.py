"""Persons who write to numbers of Sinch."""

from datetime import UTC, datetime, timedelta

import pytest
import requests

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


@pytest.fixture
def listed(plan):
    """List inbound messages; return the page."""

    def one(**query):
        url = plan.url.replace("/batches", "/inbounds")
        return requests.get(url, params=query, headers=plan.headers, timeout=10)

    return one


def test_list_shows_pages_with_the_newest_first(simulator, listed):
    ids = [write(simulator, str(number))["sid"] for number in range(5)]
    pages = [listed(page=number, page_size=2).json() for number in range(3)]
    assert {page["count"] for page in pages} == {5}
    shown = [inbound["id"] for page in pages for inbound in page["inbounds"]]
    assert shown == ids[::-1]


def test_end_date_keeps_new_messages_off_the_pages(simulator, listed):
    ids = [write(simulator, str(number))["sid"] for number in range(4)]
    end = datetime.now(UTC).isoformat()
    first = listed(page=0, page_size=2, end_date=end).json()["inbounds"]
    write(simulator, "late")
    second = listed(page=1, page_size=2, end_date=end).json()["inbounds"]
    assert [inbound["id"] for inbound in first + second] == ids[::-1]


def test_list_begins_a_day_ago_and_shows_at_most_14(simulator, listed):
    def ago(days):
        return (datetime.now(UTC) - timedelta(days=days)).isoformat()

    bodies = {days: write(simulator, str(days), received_at=ago(days))["body"] for days in (2, 20)}
    assert listed().json()["inbounds"] == []
    [inbound] = listed(start_date=ago(30)).json()["inbounds"]
    assert inbound["body"] == bodies[2]


def test_list_can_be_filtered(simulator, plan, listed):
    sid = plan.send(client_reference="mine").json()["id"]
    simulator.wait_until_idle()
    simulator.write(PERSON, "Yes?", in_reply_to=sid)
    write(simulator, "No")
    assert [each["body"] for each in listed(to="1, 447700900001").json()["inbounds"]] == ["No"]
    assert [each["body"] for each in listed(client_reference="mine").json()["inbounds"]] == ["Yes?"]


def test_one_message_can_be_fetched(simulator, plan):
    inbound = write(simulator)
    url = plan.url.replace("/batches", "/inbounds")
    fetched = requests.get(f"{url}/{inbound['sid']}", headers=plan.headers, timeout=10)
    assert fetched.json()["body"] == "Hello"
    other = requests.get(f"{url}/01MNONE", headers=plan.headers, timeout=10)
    assert other.status_code == 404


@pytest.mark.parametrize("query", [{"page_size": 101}, {"page": "x"}, {"start_date": "today"}])
def test_invalid_list_is_rejected(listed, query):
    assert listed(**query).status_code == 400
