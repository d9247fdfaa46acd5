"""Creates that go wrong, as the official client lives through them."""

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
def test_an_error_may_or_may_not_have_sent(simulator, client, fault, status, code, accepted):
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
def test_a_lost_connection_tells_nothing(simulator, client, fault, on_air):
    simulator.next_create(fault)
    with pytest.raises(requests.ConnectionError):
        create(client)
    simulator.wait_until_idle()
    assert simulator.summary()["on_air"] == on_air


def test_a_create_that_times_out_is_on_air_all_the_same(simulator, client_of, webhook):
    simulator.next_create("timeout")
    with pytest.raises(requests.ReadTimeout):
        create(client_of(simulator, timeout=0.2), status_callback=webhook.url)
    simulator.wait_until_idle()
    [message] = simulator.books()["messages"]
    assert (message["status"], message["on_air"], message["fault"]) == ("delivered", 1, "timeout")
    assert sorted(webhook.statuses) == ["delivered", "sent"]


def test_callbacks_may_come_before_the_answer(simulator, client, webhook):
    simulator.next_create("early")
    message = create(client, status_callback=webhook.url)
    assert message.status == "queued"
    assert sorted(webhook.statuses) == ["delivered", "sent"]


def test_a_slow_create_answers_in_the_end(start, client_of):
    simulator = start(slow=0.3, faults={"slow": 1})
    started = time.monotonic()
    assert create(client_of(simulator)).status == "queued"
    assert time.monotonic() - started >= 0.3


def test_an_armed_fault_is_spent(simulator, client):
    simulator.next_create("503")
    with pytest.raises(TwilioRestException):
        create(client)
    assert create(client).sid


def test_a_refused_request_does_not_spend_a_fault(simulator, client):
    simulator.next_create("503")
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to="+15005550001", from_=FROM, body="Hello")
    assert caught.value.code == 21211
    with pytest.raises(TwilioRestException) as caught:
        create(client)
    assert caught.value.code == 20503
    assert simulator.summary()["creates"]["refused"] == {"21211": 1}


def test_one_seed_tells_one_story_over_the_wire(start, client_of):
    def story(seed):
        simulator = start(seed=seed, pace=0, faults={"429": 0.2, "500": 0.2}, fates=FATES)
        client, codes = client_of(simulator), []
        for _ in range(25):
            try:
                create(client)
            except TwilioRestException as error:
                codes.append(error.code)
            else:
                codes.append(None)
        simulator.wait_until_idle()
        messages = simulator.books()["messages"]
        return codes, [(m["number"], m["statuses"], m["error_code"]) for m in messages]

    assert story(3) == story(3)
    assert story(3) != story(4)


FATES = {"delivered": 2, "undelivered-30003": 1, "failed-30007": 1, "sent": 1}
