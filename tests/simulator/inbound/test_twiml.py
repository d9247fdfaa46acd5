"""What Twilio makes of the answer to an inbound message."""

import pytest

EMPTY = b'<?xml version="1.0" encoding="UTF-8"?><Response />'


@pytest.mark.parametrize(
    ("content", "texts", "error_codes"),
    [
        (("text/xml", EMPTY), [], []),
        (("text/xml; charset=utf-8", EMPTY), [], []),
        (("text/plain", b""), [], []),
        (("text/plain", b"ok"), ["ok"], []),
        (("text/html", b"ok"), [], [12100]),
        (("text/xml", b"<html/>"), [], [12100]),
        (("application/json", b"{}"), [], [12300]),
        (
            ("text/xml", b"<Response><Message>Hi <Body>you</Body></Message></Response>"),
            ["Hi you"],
            [],
        ),
    ],
)
def test_answer_is_read_as_twilio_does(simulator, webhook, content, texts, error_codes):
    simulator.set_inbound_urls(twilio=webhook.url)
    webhook.answer, webhook.content = lambda request: 200, content
    entry = simulator.write("+14155552671", "Hello", provider="twilio", to="+15005550006")
    assert (entry["texts"], entry["error_codes"]) == (texts, error_codes)


def test_error_page_is_not_sent_to_the_person(simulator, webhook):
    simulator.set_inbound_urls(twilio=webhook.url)
    webhook.answer, webhook.content = lambda request: 500, ("text/plain", b"Oops")
    entry = simulator.write("+14155552671", "Hello", provider="twilio", to="+15005550006")
    assert entry["texts"] == []


def test_sinch_reads_no_answer(simulator, webhook):
    simulator.set_inbound_urls(sinch=webhook.url)
    webhook.answer, webhook.content = lambda request: 200, ("text/plain", b"ok")
    entry = simulator.write("+14155552671", "Hello", provider="sinch", to="+447700900001")
    assert (entry["acknowledged"], entry["texts"]) == (True, [])
