"""Faults of create requests, seen by the official client."""

import time

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

FROM, TO = "+15005550006", "+15017122661"


def create(client, **more):
    return client.messages.create(to=TO, from_=FROM, body="Hello", **more)


@pytest.mark.parametrize(
    ("fault", "status", "code", "accepted"),
    [
        ("429", 429, 20429, 0),
        ("503", 503, 20503, 0),
        ("500-unprocessed", 500, 20500, 0),
        ("500", 500, 20500, 1),
    ],
)
def test_error_answers_may_have_sent_the_message(simulator, client, fault, status, code, accepted):
    simulator.next_create(fault)
    with pytest.raises(TwilioRestException) as caught:
        create(client)
    assert (caught.value.status, caught.value.code) == (status, code)
    simulator.wait_until_idle()
    summary = simulator.summary()
    assert summary["creates"]["accepted"] == accepted
    assert summary["creates"]["faults"] == {fault: 1}
    assert summary["on_air"] == accepted


@pytest.mark.parametrize(("fault", "on_air"), [("cut", 1), ("cut-before", 0)])
def test_cut_connection_may_have_sent_the_message(simulator, client, fault, on_air):
    simulator.next_create(fault)
    with pytest.raises(requests.ConnectionError):
        create(client)
    simulator.wait_until_idle()
    assert simulator.summary()["on_air"] == on_air


def test_create_that_times_out_is_sent(simulator, client_of, webhook):
    simulator.next_create("timeout")
    with pytest.raises(requests.ReadTimeout):
        create(client_of(simulator, timeout=0.2), status_callback=webhook.url)
    simulator.wait_until_idle()
    [message] = simulator.records()["messages"]
    assert (message["status"], message["on_air"], message["fault"]) == ("delivered", 1, "timeout")
    assert sorted(webhook.statuses) == ["delivered", "sent"]


def test_callbacks_may_arrive_before_the_answer(simulator, client, webhook):
    simulator.next_create("early")
    message = create(client, status_callback=webhook.url)
    assert message.status == "queued"
    assert sorted(webhook.statuses) == ["delivered", "sent"]


def test_slow_create_is_answered_late(start, client_of):
    simulator = start(slow=0.3, faults={"slow": 1})
    started = time.monotonic()
    assert create(client_of(simulator)).status == "queued"
    assert time.monotonic() - started >= 0.3


def test_injected_fault_occurs_once(simulator, client):
    simulator.next_create("503")
    with pytest.raises(TwilioRestException):
        create(client)
    assert create(client).sid


def test_invalid_request_does_not_use_up_a_fault(simulator, client):
    simulator.next_create("503")
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to="+15005550001", from_=FROM, body="Hello")
    assert caught.value.code == 21211
    with pytest.raises(TwilioRestException) as caught:
        create(client)
    assert caught.value.code == 20503
    assert simulator.summary()["creates"]["refused"] == {"21211": 1}


def test_same_seed_gives_the_same_answers(start, client_of):
    def run(seed):
        simulator = start(seed=seed, pace=0, faults={"429": 0.2, "500": 0.2}, outcomes=OUTCOMES)
        client, codes = client_of(simulator), []
        for _ in range(25):
            try:
                create(client)
            except TwilioRestException as error:
                codes.append(error.code)
            else:
                codes.append(None)
        simulator.wait_until_idle()
        messages = simulator.records()["messages"]
        return codes, [(m["number"], m["statuses"], m["error_code"]) for m in messages]

    assert run(3) == run(3)
    assert run(3) != run(4)


OUTCOMES = {"delivered": 2, "undelivered-30003": 1, "failed-30007": 1, "sent": 1}
