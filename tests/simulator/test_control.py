"""The control API: records, faults, forced callbacks."""

from datetime import UTC, datetime

import pytest
import requests
from twilio.request_validator import RequestValidator

FROM, TO, OTHER = "+15005550006", "+15017122661", "+15017122662"


@pytest.fixture
def sid(simulator, client, webhook):
    sid = client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=webhook.url).sid
    simulator.wait_until_idle()
    return sid


def test_records_show_everything_about_a_message(simulator, webhook, sid):
    [message] = simulator.records()["messages"]
    assert message["sid"] == sid
    assert (message["to"], message["from"], message["body"]) == (TO, FROM, "Hello")
    assert message["statuses"] == ["queued", "sending", "sent", "delivered"]
    assert (message["status"], message["on_air"]) == ("delivered", 1)
    assert message["status_callback"] == webhook.url
    assert sorted(t["status"] for t in message["callbacks"]) == ["delivered", "sent"]
    assert {t["answer"] for t in message["callbacks"]} == {204}
    assert {t["url"] for t in message["callbacks"]} == {webhook.url}


def test_records_keep_the_text_after_a_redaction(simulator, client, sid):
    client.messages(sid).update(body="")
    entry = simulator.message(sid)
    assert (entry["body"], entry["text"]) == ("", "Hello")


def test_records_name_account_attempt_and_time_on_air(simulator, client):
    callback = "http://127.0.0.1:9/callbacks/twilio/attempt-1?x=/y#rc=0"
    sid = client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=callback).sid
    simulator.wait_until_idle()
    entry = simulator.message(sid)
    assert (entry["account"], entry["attempt_id"]) == (simulator.config.account_sid, "attempt-1")
    [on_air_at] = map(datetime.fromisoformat, entry["on_air_at"])
    assert datetime.fromisoformat(entry["created_at"]) <= on_air_at <= datetime.now(UTC)


def test_outcomes_of_later_messages_can_be_set(simulator, client):
    outcomes = f"{simulator.url}/_simulator/outcomes"
    assert requests.post(outcomes, json={"undelivered-30005": 1}, timeout=10).status_code == 204
    assert requests.post(outcomes, json={"delivered": -1}, timeout=10).status_code == 400
    client.messages.create(to=TO, from_=FROM, body="Hello")
    simulator.wait_until_idle()
    [message] = simulator.records()["messages"]
    assert (message["status"], message["error_code"]) == ("undelivered", 30005)


def test_summary_counts_everything(simulator, sid):
    assert simulator.summary() == {
        "creates": {"received": 1, "accepted": 1, "created": 1, "refused": {}, "faults": {}},
        "messages": {"delivered": 1},
        "on_air": 1,
        "callbacks": {
            "due": 2,
            "tries": 2,
            "acknowledged": 2,
            "refused": 0,
            "lost": 0,
            "dropped": 0,
            "duplicates": 0,
            "pending": 0,
        },
    }


def test_records_can_be_filtered_by_recipient(simulator, client, sid):
    client.messages.create(to=OTHER, from_=FROM, body="Hello")
    assert [message["sid"] for message in simulator.records(to=TO)["messages"]] == [sid]


def test_old_messages_are_dropped_but_counted(start, client_of):
    simulator = start(keep=2)
    client = client_of(simulator)
    for to in (TO, OTHER, OTHER):
        client.messages.create(to=to, from_=FROM, body="Hello")
    assert len(simulator.records()["messages"]) == 2
    assert simulator.records(to=TO)["messages"] == []
    assert simulator.summary()["creates"]["accepted"] == 3


def test_forced_status_is_reported_and_signed(simulator, client, webhook, sid):
    webhook.received.clear()
    entry = simulator.force(sid, "undelivered", 30003)
    [callback] = webhook.received
    assert (callback.status, callback.form["ErrorCode"]) == ("undelivered", "30003")
    signature = callback.headers["X-Twilio-Signature"]
    validator = RequestValidator(simulator.config.auth_token)
    assert validator.validate(webhook.url, callback.form, signature)
    assert entry["statuses"][-2:] == ["delivered", "undelivered"]
    assert client.messages(sid).fetch().error_code == 30003


def test_any_status_can_be_forced(simulator, webhook, sid):
    simulator.force(sid, "partially_delivered")
    assert webhook.statuses[-1] == "partially_delivered"


def test_rates_can_be_changed_at_run_time(simulator, client, webhook):
    simulator.set_faults({"drop": 1})
    client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=webhook.url)
    simulator.wait_until_idle()
    simulator.set_faults({"drop": 0})
    client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=webhook.url)
    simulator.wait_until_idle()
    assert sorted(webhook.statuses) == ["delivered", "sent"]
    assert simulator.summary()["callbacks"]["dropped"] == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"fire": 1}),
        ("faults", {"cut": "often"}),
        ("faults", {"cut": None}),
        ("faults", [1]),
        ("next", {"fault": "fire"}),
        ("next", {}),
        ("next", {"fault": "cut", "count": 0}),
    ],
)
def test_invalid_requests_are_rejected(simulator, path, body):
    answer = requests.post(f"{simulator.url}/_simulator/{path}", json=body, timeout=5)
    assert answer.status_code == 400


def test_unknown_message_cannot_be_forced_or_released(simulator, sid):
    def post(path):
        url = f"{simulator.url}/_simulator/{path}"
        return requests.post(url, json={"status": "sent"}, timeout=5).status_code

    assert post("callbacks/SM1") == 404
    assert post("release/SM1") == 404
    assert post(f"release/{sid}") == 400


def test_simulator_is_busy_until_all_callbacks_end(start, client_of, webhook):
    simulator = start(pace=1000)
    client_of(simulator).messages.create(to=TO, from_=FROM, body="Hello")
    with pytest.raises(TimeoutError, match="1"):
        simulator.wait_until_idle(seconds=0.1)


def test_invalid_call_raises_with_the_reason(simulator):
    with pytest.raises(ValueError, match="unknown fault: fire"):
        simulator.set_faults({"fire": 1})
