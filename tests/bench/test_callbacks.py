from urllib.parse import parse_qs

from twilio.request_validator import RequestValidator

from bench import callbacks, load
from demo.stack import TOKEN


def test_every_callback_is_signed_as_twilio_signs() -> None:
    validator = RequestValidator(TOKEN)
    for one in callbacks.callbacks(callbacks.sent(3)):
        form = {name: values[0] for name, values in parse_qs(one.body.decode()).items()}
        assert validator.validate(callbacks.BASE_URL + one.path, form, one.signature)


def test_no_callback_is_like_another() -> None:
    made = list(callbacks.callbacks(callbacks.sent(1500)))
    assert len(made) == len(set(made)) == 1500 * len(callbacks.WORDS)


def test_the_words_about_one_message_come_in_order() -> None:
    heard: dict[str, list[str]] = {}
    for one in callbacks.callbacks(callbacks.sent(1500)):
        word = parse_qs(one.body.decode())["MessageStatus"][0]
        heard.setdefault(one.path, []).append(word)
    assert all(words == list(callbacks.WORDS) for words in heard.values())


def test_a_request_on_the_wire_ends_with_its_body() -> None:
    request = load.post("/there", {"Host": "sms.example.com"}, b"a=b")
    assert request == (
        b"POST /there HTTP/1.1\r\nHost: sms.example.com\r\nContent-Length: 3\r\n\r\na=b"
    )
