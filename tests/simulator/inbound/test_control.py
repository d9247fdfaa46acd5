"""Persons who write: what reaches the webhook URL, and the records of it."""

import pytest
import requests
from twilio.request_validator import RequestValidator

PERSON, NUMBER, SERVICE = "+14155552671", "+15005550006", "MG" + "1" * 32


@pytest.fixture
def listening(simulator, webhook):
    """The simulator, with the webhook URL of Twilio."""
    simulator.set_inbound_urls(twilio=webhook.url)
    return simulator


def write(simulator, body="Hello", **fields):
    return simulator.write(PERSON, body, **{"provider": "twilio", "to": NUMBER, **fields})


def test_message_reaches_the_url_signed(listening, webhook):
    entry = write(listening, "Hej ☕", messaging_service_sid=SERVICE)
    [request] = webhook.received
    validator = RequestValidator(listening.config.auth_token)
    assert validator.validate(webhook.url, request.form, request.headers["X-Twilio-Signature"])
    assert (request.form["From"], request.form["To"]) == (PERSON, NUMBER)
    assert (request.form["Body"], request.form["NumMedia"]) == ("Hej ☕", "0")
    assert request.form["MessageSid"] == entry["sid"]
    assert request.form["MessagingServiceSid"] == SERVICE
    assert "MessageStatus" not in request.form
    assert entry["acknowledged"]


def test_media_and_further_fields_are_sent(listening, webhook):
    write(listening, "", media=["https://m.example/1.png"], fields={"OptOutType": "STOP"})
    [request] = webhook.received
    assert (request.form["Body"], request.form["NumMedia"]) == ("", "1")
    assert request.form["MediaUrl0"] == "https://m.example/1.png"
    assert request.form["MediaContentType0"] == "image/png"
    assert request.form["OptOutType"] == "STOP"


def test_whatsapp_message_names_the_person(listening, webhook):
    listening.write(f"whatsapp:{PERSON}", "Hi", provider="twilio", to=f"whatsapp:{NUMBER}")
    assert webhook.received[0].form["WaId"] == PERSON.removeprefix("+")


def test_person_answers_the_last_message(listening, client, webhook):
    client.messages.create(to=PERSON, from_="+12025550123", body="1")
    client.messages.create(to=PERSON, messaging_service_sid=SERVICE, body="2")
    listening.wait_until_idle()
    entry = listening.write(PERSON, "Yes?")
    assert (entry["to"], entry["messaging_service_sid"]) == (NUMBER, SERVICE)
    assert "OriginalRepliedMessageSid" not in webhook.received[0].form


def test_named_reply_says_which_message_it_answers(listening, client, webhook):
    sid = client.messages.create(to=PERSON, from_=NUMBER, body="Hello").sid
    client.messages.create(to=PERSON, from_="+12025550123", body="Later")
    listening.wait_until_idle()
    listening.write(PERSON, "Yes?", in_reply_to=sid)
    assert webhook.received[0].form["OriginalRepliedMessageSid"] == sid


def test_duplicates_are_the_same_request(listening, webhook):
    entry = write(listening, faults=["duplicate"])
    assert len(webhook.received) > 1
    assert len({(request.body, str(request.headers)) for request in webhook.received}) == 1
    assert listening.inbound()["totals"]["duplicates"] == len(entry["callbacks"]) - 1


def test_lost_first_try_is_retried(listening, webhook):
    entry = write(listening, faults=["lost-try"])
    assert [entry["error"] for entry in entry["callbacks"]] == ["ct: injected", None]
    assert (len(webhook.received), entry["acknowledged"]) == (1, True)


def test_lost_first_try_stays_lost_without_retries(simulator, webhook):
    simulator.set_inbound_urls(twilio=f"{webhook.url}#rc=0")
    entry = write(simulator, faults=["lost-try"])
    assert (webhook.received, entry["acknowledged"]) == ([], False)
    assert simulator.inbound()["totals"]["lost"] == 1


def test_reordered_message_arrives_after_the_next(start, webhook):
    simulator = start(hold=30, inbound_urls={"twilio": webhook.url})
    write(simulator, "first", faults=["reorder"], wait=False)
    write(simulator, "second", faults=[])
    simulator.wait_until_idle()
    assert [request.form["Body"] for request in webhook.received] == ["second", "first"]


def test_dropped_message_is_only_in_the_records(listening, webhook):
    entry = write(listening, faults=["drop"])
    assert (webhook.received, entry["dropped"], entry["acknowledged"]) == ([], True, False)
    assert listening.inbound()["totals"]["dropped"] == 1


def test_faults_occur_at_their_rates(listening, webhook):
    listening.set_faults({"drop": 1})
    assert write(listening)["dropped"]
    assert not write(listening, faults=[])["dropped"]


def test_repeat_sends_the_same_request_again(listening, webhook):
    entry = write(listening)
    again = listening.repeat_inbound(entry["sid"])
    assert len(webhook.received) == len(again["callbacks"]) == 2
    assert len({request.body for request in webhook.received}) == 1


def test_records_show_the_answer(listening, webhook):
    webhook.answer = lambda request: 500
    entry = write(listening)
    assert [entry["answer"] for entry in entry["callbacks"]] == [500]
    assert not entry["acknowledged"]
    assert listening.inbound(PERSON)["messages"] == [entry]
    assert listening.inbound("+14155559999")["messages"] == []
    totals = listening.inbound()["totals"]
    assert (totals["received"], totals["refused"], totals["pending"]) == (1, 1, 0)


def test_old_messages_are_dropped_but_counted(start, client_of):
    simulator = start(keep=1)
    sids = [write(simulator, str(number))["sid"] for number in range(3)]
    assert [entry["sid"] for entry in simulator.inbound()["messages"]] == sids[-1:]
    assert [each.sid for each in client_of(simulator).messages.list(to=NUMBER)] == sids[-1:]
    assert simulator.inbound()["totals"]["received"] == 3


def test_message_without_a_url_is_only_recorded(simulator):
    entry = write(simulator)
    assert entry["callbacks"] == []
    assert simulator.inbound()["totals"]["due"] == 0


def test_url_of_an_account_wins(listening, webhook):
    listening.set_inbound_urls(**{listening.config.account_sid: f"{webhook.url}&mine=1"})
    write(listening)
    listening.set_inbound_urls(**{listening.config.account_sid: None})
    write(listening)
    assert [request.path.endswith("mine=1") for request in webhook.received] == [True, False]


def test_simulator_is_busy_until_messages_are_sent(listening, webhook):
    listening.set_faults({"delay": 1})
    write(listening, wait=False)
    with pytest.raises(TimeoutError):
        listening.wait_until_idle(0.1)


@pytest.mark.parametrize(
    ("number", "answer"),
    [("+15005550170", "STOP"), ("+15005550171", "START"), ("+15005550172", "Thank you!")],
)
def test_magic_person_answers_a_delivered_message(listening, client, webhook, number, answer):
    client.messages.create(to=number, from_=NUMBER, body="Hello")
    listening.wait_until_idle()
    [request] = webhook.received
    assert (request.form["From"], request.form["Body"]) == (number, answer)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"from": PERSON},  # no message to answer
        {"from": PERSON, "to": NUMBER},
        {"from": PERSON, "to": NUMBER, "provider": "unknown"},
        {"from": PERSON, "to": NUMBER, "account": "unknown"},
        {"from": PERSON, "in_reply_to": "SM1"},
        {"from": 1, "to": NUMBER, "provider": "twilio"},
        {"from": PERSON, "to": NUMBER, "provider": "twilio", "body": 1},
        {"from": PERSON, "to": NUMBER, "provider": "twilio", "fields": []},
        {"from": PERSON, "to": NUMBER, "provider": "twilio", "media": "x"},
        {"from": PERSON, "to": NUMBER, "provider": "twilio", "faults": ["503"]},
        {"from": PERSON, "to": NUMBER, "provider": "twilio", "received_at": "2026-01-01"},
        {"from": PERSON, "to": NUMBER, "provider": "twilio", "text": "Hello"},
    ],
)
def test_invalid_message_is_rejected(simulator, fields):
    answer = requests.post(f"{simulator.url}/_simulator/inbound", json=fields, timeout=5)
    assert answer.status_code == 400
    assert simulator.inbound()["messages"] == []


def test_known_sid_and_unknown_urls_are_rejected(simulator):
    sid = write(simulator, sid="SM1")["sid"]
    with pytest.raises(ValueError, match="repeat"):
        write(simulator, sid=sid)
    for urls in ({"unknown": "http://x"}, {"twilio": "x"}, {"twilio": 1}):
        with pytest.raises(ValueError, match=r"URL|account"):
            simulator.set_inbound_urls(**urls)
    with pytest.raises(ValueError, match="no such"):
        simulator.repeat_inbound("SM2")
