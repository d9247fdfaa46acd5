"""Twilio blocks persons who wrote STOP; Sinch does not."""

import pytest
from twilio.base.exceptions import TwilioRestException

PERSON, NUMBER, OTHER, SERVICE = "+14155552671", "+15005550006", "+12025550123", "MG" + "1" * 32


@pytest.fixture
def write(simulator):
    def one(body, person=PERSON, **fields):
        return simulator.write(person, body, **{"provider": "twilio", "to": NUMBER, **fields})

    return one


@pytest.fixture
def is_blocked(client):
    def one(to=PERSON, **sender):
        try:
            client.messages.create(to=to, body="Hello", **(sender or {"from_": NUMBER}))
        except TwilioRestException as error:
            return error.code == 21610
        return False

    return one


@pytest.mark.parametrize("word", ["STOP", "stop ", "Unsubscribe", "REVOKE"])
def test_stop_blocks_the_number_until_start(simulator, write, is_blocked, word):
    write(word)
    assert is_blocked()
    assert not is_blocked(from_=OTHER)
    assert not is_blocked(to="+14155552672")
    write("Unstop")
    assert not is_blocked()
    assert simulator.summary()["creates"]["refused"] == {"21610": 1}


@pytest.mark.parametrize("text", ["Please stop", "OPT OUT", "Hello", "HELP"])
def test_other_texts_do_not_block(write, is_blocked, text):
    write(text)
    assert not is_blocked()


def test_stop_to_a_service_blocks_the_service(simulator, write, is_blocked):
    write("STOP", messaging_service_sid=SERVICE)
    assert is_blocked(messaging_service_sid=SERVICE)
    [*blocks] = simulator.inbound()["blocks"]
    assert {block["sender"] for block in blocks} == {NUMBER, SERVICE}
    write("START", messaging_service_sid=SERVICE)
    assert not is_blocked(messaging_service_sid=SERVICE)


def test_opt_out_type_counts_before_the_text(write, is_blocked):
    write("ARRET", fields={"OptOutType": "STOP"})
    assert is_blocked()


def test_rcs_and_sms_are_one_person(write, is_blocked):
    write("STOP", f"rcs:{PERSON}")
    assert is_blocked()
    write("START")
    write("STOP", f"whatsapp:{PERSON}")
    assert not is_blocked()


def test_sinch_does_not_block(simulator, write):
    write("STOP", provider="sinch")
    assert simulator.inbound()["blocks"] == []
