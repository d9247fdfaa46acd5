"""Outages by schedule, seen by the clients of both providers."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from simulator.accounts import Account
from tests.simulator.conftest import SimulatorHttpClient, eventually

FROM, TO, SWEDISH = "+15005550006", "+15017122661", "+46700000001"
SECOND = Account("twilio", "AC00000000000000000000000000000002", token="second-token")
SERVICE = "MG00000000000000000000000000000001"


@pytest.fixture
def simulator(start):
    return start(accounts=(SECOND,))


@pytest.fixture
def second(simulator):
    return Client(SECOND.id, SECOND.token, http_client=SimulatorHttpClient(simulator.url, 10))


def post(simulator, **changes):
    """Create a message of the first Twilio account; return the HTTP answer."""
    config = simulator.config
    url = f"{simulator.url}/2010-04-01/Accounts/{config.account_sid}/Messages.json"
    form = {"To": TO, "From": FROM, "Body": "Hello"} | changes
    return requests.post(url, form, auth=(config.account_sid, config.auth_token), timeout=10)


def post_batch(simulator, to=TO, sender="ACME"):
    config = simulator.config
    url = f"{simulator.url}/xms/v1/{config.sinch_plan}/batches"
    headers = {"Authorization": f"Bearer {config.sinch_token}"}
    batch = {"to": [to], "from": sender, "body": "Hello"}
    return requests.post(url, json=batch, headers=headers, timeout=10)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (20003, 401),
        (20005, 403),
        (10001, 403),
        (90010, 403),
        (20403, 403),
        (70051, 403),
        (21408, 403),
        (21606, 400),
        (21611, 429),
    ],
)
def test_code_of_twilio_is_answered_with_its_status(simulator, code, status):
    simulator.add_outage(provider="twilio", code=code)
    answer = post(simulator)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.json()["code"] == code
    assert simulator.records()["messages"] == []


def test_status_of_a_code_can_be_changed(simulator):
    simulator.add_outage(provider="twilio", code=29999, status=402)
    answer = post(simulator)
    assert (answer.status_code, answer.json()["code"]) == (402, 29999)


@pytest.mark.parametrize(
    ("status", "code"), [(401, 20003), (403, 20403), (429, 20429), (500, 20500), (503, 20503)]
)
def test_status_of_twilio_has_a_default_code(simulator, status, code):
    simulator.add_outage(status=status)
    answer = post(simulator)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_bad_gateway_has_no_body(simulator):
    simulator.add_outage(status=502)
    for answer in (post(simulator), post_batch(simulator)):
        assert (answer.status_code, answer.content) == (502, b"")


def test_blocked_sinch_account_answers_403(simulator):
    simulator.add_outage(provider="sinch", code="blocked_account")
    answer = post_batch(simulator)
    assert (answer.status_code, answer.json()["code"]) == (403, "blocked_account")
    assert post(simulator).status_code == 201


def test_outage_of_an_account_leaves_the_other_alone(simulator, client, second):
    simulator.add_outage(provider="twilio", account=SECOND.id, code=20005)
    with pytest.raises(TwilioRestException) as caught:
        second.messages.create(to=TO, from_=FROM, body="Hello")
    assert caught.value.code == 20005
    assert client.messages.create(to=TO, from_=FROM, body="Hello").sid


def test_outage_of_a_sender_leaves_others_alone(simulator):
    simulator.add_outage(provider="twilio", sender=FROM, code=21606)
    simulator.add_outage(provider="twilio", sender=SERVICE, code=21704)
    assert post(simulator).json()["code"] == 21606
    assert post(simulator, From="", MessagingServiceSid=SERVICE).json()["code"] == 21704
    assert post(simulator, From="Waybill").status_code == 201


def test_outage_of_a_country_leaves_others_alone(simulator):
    simulator.add_outage(provider="twilio", prefix="+46", code=21408)
    whatsapp = {"To": f"whatsapp:{SWEDISH}", "From": "whatsapp:+14155238886"}
    assert post(simulator, To=SWEDISH).json()["code"] == 21408
    assert post(simulator, **whatsapp).json()["code"] == 21408
    assert post(simulator).status_code == 201


def test_retry_after_is_sent_in_seconds(simulator):
    simulator.add_outage(status=429, retry_after=30)
    assert post(simulator).headers["Retry-After"] == "30"
    assert post_batch(simulator).headers["Retry-After"] == "30"


def test_retry_after_is_sent_as_a_date(simulator):
    simulator.add_outage(status=429, retry_after_date=90)
    for answer in (post(simulator), post_batch(simulator)):
        date = parsedate_to_datetime(answer.headers["Retry-After"])
        assert timedelta(seconds=80) < date - datetime.now(UTC) <= timedelta(seconds=90)


def test_429_without_retry_after_has_no_such_header(simulator):
    simulator.add_outage(status=429)
    assert "Retry-After" not in post(simulator).headers


def test_outage_ends_at_its_time_and_stays_listed(simulator):
    outage = simulator.add_outage(status=503, duration=0.5)
    statuses = []
    eventually(lambda: statuses.append(post(simulator).status_code) or statuses[-1] == 201)
    [ended] = simulator.outages()
    assert datetime.now(UTC) >= datetime.fromisoformat(outage["ends_at"])
    assert (ended["id"], ended["state"], ended["answered"]) == (
        outage["id"],
        "ended",
        len(statuses) - 1,
    )
    assert set(statuses) == {503, 201}


def test_outage_begins_at_its_time(simulator):
    outage = simulator.add_outage(status=503, after=0.2, until=600)
    assert outage["state"] == "waiting"
    eventually(lambda: post(simulator).status_code == 503)
    assert datetime.now(UTC) >= datetime.fromisoformat(outage["starts_at"])


def test_first_of_overlapping_outages_counts(simulator):
    simulator.add_outage(provider="sinch", status=429)
    simulator.add_outage(provider="twilio", code=20005, after=3600)
    simulator.add_outage(provider="twilio", code=10001)
    simulator.add_outage(status=503)
    assert post(simulator).json()["code"] == 10001
    assert [outage["answered"] for outage in simulator.outages()] == [0, 0, 1, 0]


def test_outages_can_be_ended_by_a_call(simulator):
    outage = simulator.add_outage(status=503)
    simulator.add_outage(status=429, after=3600)
    url = f"{simulator.url}/_simulator/outages/{outage['id']}"
    assert requests.delete(url, timeout=10).json()["state"] == "ended"
    assert post(simulator).status_code == 201
    simulator.end_outages()
    assert {outage["state"] for outage in simulator.outages()} == {"ended"}
    assert requests.delete(url + "9", timeout=10).status_code == 404


@pytest.mark.parametrize(("fault", "on_air"), [("timeout", 1), ("timeout-unprocessed", 0)])
def test_hanging_provider_may_keep_the_message(simulator, client_of, fault, on_air):
    simulator.add_outage(fault=fault)
    with pytest.raises(requests.ReadTimeout):
        client_of(simulator, timeout=0.2).messages.create(to=TO, from_=FROM, body="Hello")
    simulator.wait_until_idle()
    assert simulator.summary()["on_air"] == on_air
    assert len(simulator.refusals()) == 1 - on_air


def test_outage_answers_before_random_faults(start):
    simulator = start(faults={"503": 1})
    simulator.add_outage(provider="twilio", code=20005)
    assert post(simulator).json()["code"] == 20005


@pytest.mark.parametrize(("calls", "status"), [("creates", 200), ("all", 403)])
def test_outage_may_cover_look_ups(simulator, client, calls, status):
    sid = client.messages.create(to=TO, from_=FROM, body="Hello").sid
    batch = post_batch(simulator).json()["id"]
    simulator.add_outage(status=403, calls=calls)
    config = simulator.config
    twilio = f"{simulator.url}/2010-04-01/Accounts/{config.account_sid}/Messages/{sid}.json"
    sinch = f"{simulator.url}/xms/v1/{config.sinch_plan}/batches/{batch}"
    auth, headers = (
        (config.account_sid, config.auth_token),
        {"Authorization": f"Bearer {config.sinch_token}"},
    )
    assert requests.get(twilio, auth=auth, timeout=10).status_code == status
    assert requests.get(sinch, headers=headers, timeout=10).status_code == status
    assert post(simulator).status_code == 403


def test_refused_calls_are_counted_per_account(simulator, client, second):
    simulator.add_outage(account=simulator.config.account_sid, code=20005, provider="twilio")
    for _ in range(2):
        post(simulator)
    post(simulator, To="hello")
    second.messages.create(to=TO, from_=FROM, body="Hello")
    first = simulator.account(simulator.config.account_sid)
    assert (first["calls"], first["creates"], first["accepted"]) == (3, 3, 0)
    assert first["refused"] == {"20005": 2, "21211": 1}
    other = simulator.account(SECOND.id)
    assert (other["calls"], other["accepted"], other["refused"]) == (1, 1, {})


def test_refusals_are_listed_with_their_attempt(simulator, second):
    outage = simulator.add_outage(provider="twilio", code=20005)
    post(simulator, StatusCallback="https://waybill.example/callbacks/twilio/attempt-1#rc=2")
    with pytest.raises(TwilioRestException):
        second.messages.create(to=TO, from_=FROM, body="Hello")
    [refusal] = simulator.refusals(simulator.config.account_sid)
    assert (refusal["to"], refusal["from"], refusal["attempt_id"]) == (TO, FROM, "attempt-1")
    assert (refusal["reason"], refusal["outage"]) == ("20005", outage["id"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(refusal["at"])) < timedelta(seconds=5)
    assert [entry["account"] for entry in simulator.refusals(SECOND.id)] == [SECOND.id]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"state": "down", "status": 503},
        {"provider": "vonage", "status": 503},
        {"status": 200},
        {"status": "503"},
        {"fault": "drop"},
        {"fault": "timeout", "status": 503},
        {"fault": "timeout", "retry_after": 3},
        {"code": 20005},
        {"provider": "twilio", "code": "blocked_account"},
        {"provider": "sinch", "code": 20005},
        {"provider": "twilio", "code": 29999},
        {"status": 503, "after": -1},
        {"status": 503, "after": True},
        {"status": 503, "after": 5, "until": 5},
        {"status": 503, "duration": 0},
        {"status": 503, "until": 5, "duration": 5},
        {"status": 429, "retry_after": 5, "retry_after_date": 5},
        {"status": 503, "calls": "all", "prefix": "+46"},
        {"fault": "cut", "calls": "all"},
        {"status": 503, "sender": 3},
    ],
)
def test_invalid_outages_are_rejected(simulator, fields):
    url = f"{simulator.url}/_simulator/outages"
    assert requests.post(url, json=fields, timeout=10).status_code == 400
    assert simulator.outages() == []
