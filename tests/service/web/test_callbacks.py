"""Signed callbacks are stored before 204; other callbacks change nothing."""

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import select
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from demo.servers import free_port
from service.app import create_app
from service.database import db
from service.errors import OverflowUnavailable
from service.inbox.inbox import Inbox
from service.inbox.overflow import OverflowTable
from service.models import Overflow
from service.providers.base import Callback
from service.recording import return_to_inbox
from service.task_queue.queue import STATUS
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_settings
from tests.messages import assert_soon

PATH = f"/callbacks/twilio/{UUID(int=7)}"
SENT = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "0" * 32, "MessageStatus": "sent"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# A function's fixtures serve all examples of one test: here they hold nothing that would matter.
RARELY = settings(
    max_examples=settings.default.max_examples * 4 // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def signature(path: str, form: Any, token: str = TOKEN) -> dict[str, str]:
    signed: str = RequestValidator(token).compute_signature(BASE_URL + path, form)
    return {**FORM, "X-Twilio-Signature": signed}


def call_back(phone: FlaskClient, path: str = PATH, form: Any = None) -> TestResponse:
    """Call back as the provider does."""
    fields = SENT if form is None else form
    return phone.post(path, data=urlencode(fields), headers=signature(path, fields))


def inbox(app: Flask) -> Inbox:
    stored: Inbox = app.extensions["waybill"].inbox
    return stored


def overflow(app: Flask) -> list[Overflow]:
    with app.app_context():
        return list(db.session.scalars(select(Overflow)))


def made(database_url: str, redis_url: str, **changes: str) -> Iterator[FlaskClient]:
    """Make an application with the real providers; yield who calls it."""
    app = create_app(make_settings(database_url, redis_url, **changes))
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def caller(database_url: str, redis_url: str) -> Iterator[FlaskClient]:
    yield from made(database_url, redis_url)


@pytest.fixture
def phone(app: Flask, caller: FlaskClient) -> FlaskClient:
    """The provider's side of an application that checks real signatures; its stores are empty."""
    return caller


@pytest.fixture
def without_redis(app: Flask, database_url: str) -> Iterator[FlaskClient]:
    yield from made(database_url, f"redis://127.0.0.1:{free_port()}/0")


@pytest.fixture
def without_replica(app: Flask, database_url: str, redis_url: str) -> Iterator[FlaskClient]:
    yield from made(database_url, redis_url, INBOX_REPLICAS="1")


@pytest.fixture
def without_anything() -> Iterator[FlaskClient]:
    nowhere = f"127.0.0.1:{free_port()}"
    yield from made(f"postgresql://nobody@{nowhere}/none", f"redis://{nowhere}/0")


@pytest.mark.parametrize("path", [PATH, "/callbacks/twilio", "/callbacks/twilio/not-an-id"])
def test_signed_callback_is_stored_before_204(phone: FlaskClient, path: str) -> None:
    answer = call_back(phone, path)
    assert (answer.status_code, answer.data) == (204, b"")
    assert inbox(phone.application).lag() == 1


def test_callback_is_stored_unchanged(phone: FlaskClient) -> None:
    call_back(phone)
    bound = inbox(phone.application)
    bound.take("reader", 1, linger=0)  # makes the group
    [entry] = bound.take("reader", 10, linger=0)
    assert entry.callback.provider == "twilio"
    assert entry.callback.attempt == PATH.rpartition("/")[2]
    assert entry.callback.body == urlencode(SENT).encode()


def test_many_callbacks_wake_one_worker(phone: FlaskClient, redis_url: str) -> None:
    for word in ("sending", "sent", "delivered"):
        assert call_back(phone, form={**SENT, "MessageStatus": word}).status_code == 204
    assert inbox(phone.application).lag() == 3
    with Redis.from_url(redis_url) as redis:
        assert_soon(lambda: redis.llen(STATUS) == 1)


FORGERIES = {
    "unsigned": FORM,
    "emptily signed": {**FORM, "X-Twilio-Signature": ""},
    "signed with another token": signature(PATH, SENT, "another"),
    "signed for another path": signature("/callbacks/twilio", SENT),
    "signed for another form": signature(PATH, {**SENT, "MessageStatus": "delivered"}),
    "signed with garbage": {**FORM, "X-Twilio-Signature": "\xe9\xff" * 500},
    "signed by an unknown key": {
        **signature(PATH, SENT),
        "X-Twilio-Webhooks-Signature-Settings": "key=unknown,algorithm=HMAC_SHA256",
    },
}
BODIES = {
    "good": urlencode(SENT).encode(),
    "another account": urlencode({**SENT, "AccountSid": "AC" + "9" * 32}).encode(),
    "no account": b"MessageStatus=sent",
    "empty": b"",
    "JSON": b'{"AccountSid":"%b"}' % ACCOUNT.encode(),
    "no UTF-8": b"AccountSid=%b&a=\xff\xfe" % ACCOUNT.encode(),
    "NUL": b"AccountSid=%b&MessageStatus=%%00" % ACCOUNT.encode(),
    "too many fields": b"AccountSid=%b" % ACCOUNT.encode() + b"&a=1" * 500,
    "64 kB": b"AccountSid=%b&a=".ljust(64 * 1024, b"x"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("headers", FORGERIES.values(), ids=FORGERIES.keys())
def test_callback_with_invalid_signature_changes_nothing(
    phone: FlaskClient, headers: dict[str, str], body: bytes
) -> None:
    answer = phone.post(PATH, data=body, headers=headers)
    assert (answer.status_code, answer.data) == (403, b"")
    assert inbox(phone.application).lag() == 0
    assert overflow(phone.application) == []


@pytest.mark.parametrize("digest", ["", "0" * 64, "%C3%A9", "%FF", "%00", "x" * 5000])
def test_body_with_other_hash_than_signed_changes_nothing(phone: FlaskClient, digest: str) -> None:
    path = f"{PATH}?bodySHA256={digest}&AccountSid={ACCOUNT}"
    answer = phone.post(path, data=b"{}", headers={"X-Twilio-Signature": "forged"})
    assert answer.status_code == 403
    assert inbox(phone.application).lag() == 0


def test_unsigned_callback_is_not_stored_without_redis(without_redis: FlaskClient) -> None:
    assert without_redis.post(PATH, data=urlencode(SENT), headers=FORM).status_code == 403
    assert overflow(without_redis.application) == []


def test_callback_over_64_kb_is_refused(phone: FlaskClient) -> None:
    form = {**SENT, "Padding": "x" * 64 * 1024}
    assert call_back(phone, form=form).status_code == 413
    assert inbox(phone.application).lag() == 0


def test_callback_of_64_kb_is_stored(phone: FlaskClient) -> None:
    form = {**SENT, "Padding": ""}
    form["Padding"] = "x" * (64 * 1024 - len(urlencode(form)))
    assert call_back(phone, form=form).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/callbacks/nobody", 404),
        ("POST", "/callbacks/nobody/7", 404),
        ("POST", "/callbacks", 404),
        ("POST", "/callbacks/twilio/", 404),
        ("POST", f"{PATH}/more/still", 404),
        ("GET", PATH, 405),
        ("GET", "/callbacks/twilio", 405),
        ("PUT", PATH, 405),
    ],
)
def test_callback_to_an_unknown_url_is_not_stored(
    phone: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = phone.open(path, method=method, data=urlencode(SENT), headers=signature(path, SENT))
    assert answer.status_code == status
    assert inbox(phone.application).lag() == 0


def test_callback_goes_to_the_database_without_redis(without_redis: FlaskClient) -> None:
    assert call_back(without_redis).status_code == 204
    [kept] = overflow(without_redis.application)
    assert kept.provider == "twilio"
    assert kept.attempt == PATH.rpartition("/")[2]
    assert kept.body == urlencode(SENT).encode()


def test_callback_without_a_replica_is_in_both_stores(without_replica: FlaskClient) -> None:
    """A failover would lose the first copy; the second stays until a replica is back."""
    assert call_back(without_replica).status_code == 204

    bound = without_replica.application.extensions["waybill"]
    assert bound.inbox.lag() == 1
    assert len(overflow(without_replica.application)) == 1
    with without_replica.application.app_context():
        assert return_to_inbox.drain_overflow() == 0
    assert bound.inbox.lag() == 1, "no further copies"


def test_callback_without_replica_and_overflow_gets_503(
    without_replica: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(_table: OverflowTable, _callback: Callback) -> None:
        raise OverflowUnavailable

    monkeypatch.setattr(OverflowTable, "put", unavailable)
    assert call_back(without_replica).status_code == 503


def test_callback_gets_503_without_redis_and_database(
    without_anything: FlaskClient,
) -> None:
    answer = call_back(without_anything)
    assert (answer.status_code, answer.data) == (503, b"")
    assert int(answer.headers["Retry-After"]) > 0


@RARELY
@given(junk=st.binary(max_size=190))  # of any bytes: fewer than the 200 fields that are read
def test_any_signed_form_is_stored(phone: FlaskClient, junk: bytes) -> None:
    body = b"AccountSid=" + ACCOUNT.encode() + b"&" + junk
    fields = MultiDict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    readable = body == body.decode(errors="replace").encode()
    answer = phone.post(PATH, data=body, headers=signature(PATH, fields))
    assert answer.status_code == (204 if readable else 403)


@RARELY
@given(body=st.binary(max_size=300), attempt=st.text(min_size=1, max_size=80))
def test_any_bytes_with_a_signed_hash_are_stored(
    phone: FlaskClient, body: bytes, attempt: str
) -> None:
    digest = hashlib.sha256(body).hexdigest()
    place = quote(attempt.replace("/", "-"), safe="-._~!$&'()*+,;=:@")
    path = f"/callbacks/twilio/{place}?AccountSid={ACCOUNT}&bodySHA256={digest}"
    assert phone.post(path, data=body, headers=signature(path, {})).status_code == 204


@RARELY
@given(body=st.binary(max_size=300), query=st.text(max_size=50), signed=st.text(max_size=50))
def test_no_unsigned_bytes_are_stored(
    phone: FlaskClient, body: bytes, query: str, signed: str
) -> None:
    headers = {"X-Twilio-Signature": quote(signed)}
    answer = phone.post(PATH, data=body, query_string=quote(query, safe="=&%"), headers=headers)
    assert answer.status_code == 403
    assert inbox(phone.application).lag() == 0
