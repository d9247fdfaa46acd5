"""Callbacks of the benchmark."""

from urllib.parse import parse_qs

from twilio.request_validator import RequestValidator

from bench import callbacks, load
from demo.stack import TOKEN


def test_callbacks_have_valid_twilio_signatures() -> None:
    validator = RequestValidator(TOKEN)
    signed = list(callbacks.callbacks(callbacks.make_messages(3)))
    assert len(signed) == 3 * len(callbacks.STATUSES)
    for callback in signed:
        form = {name: values[0] for name, values in parse_qs(callback.body.decode()).items()}
        assert validator.validate(callbacks.BASE_URL + callback.path, form, callback.signature)


def test_callbacks_are_distinct() -> None:
    signed = list(callbacks.callbacks(callbacks.make_messages(1500)))
    assert len(signed) == len(set(signed)) == 1500 * len(callbacks.STATUSES)


def test_statuses_of_one_message_are_in_order() -> None:
    statuses: dict[str, list[str]] = {}
    for callback in callbacks.callbacks(callbacks.make_messages(1500)):
        status = parse_qs(callback.body.decode())["MessageStatus"][0]
        statuses.setdefault(callback.path, []).append(status)
    assert all(listed == list(callbacks.STATUSES) for listed in statuses.values())


def test_http_request_ends_with_its_body() -> None:
    request = load.post("/there", {"Host": "sms.example.com"}, b"a=b")
    assert request == (
        b"POST /there HTTP/1.1\r\nHost: sms.example.com\r\nContent-Length: 3\r\n\r\na=b"
    )
