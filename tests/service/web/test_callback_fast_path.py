"""The fast path of callbacks and the Flask route give equal answers, with equal headers."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from twilio.request_validator import RequestValidator
from werkzeug.test import Client

from demo.servers import free_port
from service.app import create_app
from service.database import db
from tests.conftest import ACCOUNT, BASE_URL, SINCH, TOKEN, make_settings

PATH = f"/callbacks/twilio/{UUID(int=7)}"
SENT = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "0" * 32, "MessageStatus": "sent"}
BODY = urlencode(SENT).encode()
LIMIT = 64 * 1024
SINCH_SECRET = SINCH["SINCH_CALLBACK_SECRETS"].partition(",")[0]
PATH_SECRET = "a-secret-in-the-path"


class Case(NamedTuple):
    """A request, and the expected status."""

    status: int
    path: str = PATH
    method: str = "POST"
    body: bytes = BODY
    headers: Mapping[str, str] = {}
    environ: Mapping[str, Any] = {}


def signed(path: str = PATH, form: dict[str, str] = SENT) -> dict[str, str]:
    made = RequestValidator(TOKEN).compute_signature(BASE_URL + path, form)
    return {"X-Twilio-Signature": made, "Content-Type": "application/x-www-form-urlencoded"}


SINCH_PATH = f"/callbacks/sinch/{UUID(int=7)}"
REPORT = b'{"type":"recipient_delivery_report_sms","batch_id":"01","status":"Delivered"}'


def signed_by_sinch(body: bytes = REPORT) -> dict[str, str]:
    now = str(int(time.time()))
    made = hmac.digest(SINCH_SECRET.encode(), body + f".n1.{now}".encode(), hashlib.sha256)
    return {
        "X-Sinch-Webhook-Signature": base64.b64encode(made).decode(),
        "X-Sinch-Webhook-Signature-Algorithm": "HmacSHA256",
        "X-Sinch-Webhook-Signature-Nonce": "n1",
        "X-Sinch-Webhook-Signature-Timestamp": now,
        "Content-Type": "application/json",
    }


PADDED = {**SENT, "Padding": "x" * (LIMIT - len(BODY) - len("&Padding="))}
STREAMED = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
CASES = {
    "signed": Case(204, headers=signed()),
    "without an attempt": Case(204, "/callbacks/twilio", headers=signed("/callbacks/twilio")),
    "an attempt of any text": Case(204, f"{PATH}:~!", headers=signed(f"{PATH}:~!")),
    "an escaped attempt": Case(
        204,
        "/callbacks/twilio/caf%C3%A9%00%20",
        headers=signed("/callbacks/twilio/caf%C3%A9%00%20"),
    ),
    "a query": Case(204, f"{PATH}?a=b&a=%20", headers=signed(f"{PATH}?a=b&a=%20")),
    "the longest body": Case(204, body=urlencode(PADDED).encode(), headers=signed(form=PADDED)),
    "no length": Case(204, headers=signed(), environ=STREAMED),
    "no length, unsigned": Case(403, environ=STREAMED),
    "no length, too long": Case(413, body=b"x" * (LIMIT + 1), environ=STREAMED),
    "an odd host": Case(204, headers={**signed(), "Host": "127.0.0.1:8000"}),
    "unsigned": Case(403),
    "forged": Case(403, headers={"X-Twilio-Signature": "forged"}),
    "garbage for a signature": Case(403, headers={"X-Twilio-Signature": "\xe9\xff"}),
    "signed for elsewhere": Case(403, headers=signed("/callbacks/twilio")),
    "no UTF-8": Case(403, body=b"\xff\xfe", headers=signed()),
    "an empty body": Case(403, body=b"", headers=signed()),
    "a hash that is none": Case(
        403, f"{PATH}?AccountSid={ACCOUNT}&bodySHA256=%C3%A9", headers=signed()
    ),
    "too long": Case(413, body=b"x" * (LIMIT + 1), headers=signed()),
    "a length beyond all bounds": Case(403, environ={"CONTENT_LENGTH": "9" * 5000}),
    "no such provider": Case(404, "/callbacks/unknown", headers=signed()),
    "no such path": Case(404, f"{PATH}/more/still", headers=signed()),
    "no attempt behind the slash": Case(404, "/callbacks/twilio/", headers=signed()),
    "by Sinch": Case(204, SINCH_PATH, body=REPORT, headers=signed_by_sinch()),
    "by Sinch, to no attempt": Case(
        204, "/callbacks/sinch", body=REPORT, headers=signed_by_sinch()
    ),
    "by Sinch, of no JSON": Case(204, SINCH_PATH, body=b"{", headers=signed_by_sinch(b"{")),
    "by Sinch, altered": Case(403, SINCH_PATH, body=REPORT + b" ", headers=signed_by_sinch()),
    "by Sinch, of another body": Case(403, SINCH_PATH, body=b"{}", headers=signed_by_sinch()),
    "to Sinch, unsigned": Case(403, SINCH_PATH, body=REPORT),
    "to Sinch, signed by Twilio": Case(403, SINCH_PATH, headers=signed()),
    "to Twilio, signed by Sinch": Case(403, body=REPORT, headers=signed_by_sinch()),
    "to Sinch, with a secret that is none": Case(
        403, f"/callbacks/sinch/secret/{UUID(int=7)}", body=REPORT
    ),
    "nothing between the slashes": Case(308, f"/callbacks/sinch//{UUID(int=7)}"),
    "read": Case(405, method="GET"),
    "put": Case(405, method="PUT", headers=signed()),
}


class Answer(NamedTuple):
    """Everything that a caller sees."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def ask(wsgi: Any, case: Case) -> Answer:
    response = Client(wsgi).open(
        case.path,
        method=case.method,
        data=case.body,
        headers=case.headers,
        environ_overrides=case.environ,
    )
    return Answer(response.status_code, sorted(response.headers), response.data)


def both(app: Flask, case: Case) -> tuple[Answer, Answer]:
    fast_path: Any = app.wsgi_app
    return ask(fast_path, case), ask(fast_path._inner, case)


def made(database_url: str, redis_url: str, **changes: str) -> Iterator[Flask]:
    app = create_app(make_settings(database_url, redis_url, **{**SINCH, **changes}))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def bound(database_url: str, redis_url: str) -> Iterator[Flask]:
    yield from made(database_url, redis_url)


@pytest.fixture
def real(app: Flask, bound: Flask) -> Flask:
    """An application that checks real signatures; its stores are empty."""
    return bound


@pytest.fixture
def without_redis(app: Flask, database_url: str) -> Iterator[Flask]:
    yield from made(database_url, f"redis://127.0.0.1:{free_port()}/0")


@pytest.fixture
def without_anything() -> Iterator[Flask]:
    nowhere = f"127.0.0.1:{free_port()}"
    yield from made(f"postgresql://nobody@{nowhere}/none", f"redis://{nowhere}/0")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_fast_path_and_route_answer_and_store_equally(real: Flask, case: Case) -> None:
    fast, route = both(real, case)
    assert fast == route
    assert fast.status == case.status
    bound = real.extensions["waybill"].inbox
    bound.take("reader", 1, linger=0)  # makes the group
    kept = [entry.callback._replace(received_at=None) for entry in bound.take("reader", 9, 0)]
    assert len(kept) == (2 if case.status == 204 else 0)
    assert len(set(kept)) <= 1


@pytest.fixture
def unsigned(app: Flask, database_url: str, redis_url: str) -> Iterator[Flask]:
    """An application whose Sinch plan cannot sign."""
    changes = {"SINCH_CALLBACK_SECRETS": "", "SINCH_CALLBACK_PATH_SECRET": PATH_SECRET}
    yield from made(database_url, redis_url, **changes)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/callbacks/sinch/{PATH_SECRET}/{UUID(int=7)}", 204),
        (f"/callbacks/sinch/{PATH_SECRET}/plan", 204),
        (f"/callbacks/sinch/{PATH_SECRET}x/{UUID(int=7)}", 403),
        (f"/callbacks/sinch/{UUID(int=7)}/{PATH_SECRET}", 403),
        (f"/callbacks/sinch/{PATH_SECRET}", 403),
        (SINCH_PATH, 403),
    ],
)
def test_secret_path_replaces_a_signature(unsigned: Flask, path: str, status: int) -> None:
    fast, route = both(unsigned, Case(status, path, body=REPORT))
    assert fast == route
    assert fast.status == status
    bound = unsigned.extensions["waybill"].inbox
    assert bound.lag() == (2 if status == 204 else 0)
    bound.take("reader", 1, linger=0)  # makes the group
    assert all(PATH_SECRET not in entry.callback.attempt for entry in bound.take("reader", 9, 0))


def test_fast_path_and_route_store_without_redis(without_redis: Flask) -> None:
    fast, route = both(without_redis, CASES["signed"])
    assert fast == route
    assert fast.status == 204


def test_fast_path_and_route_get_503_without_stores(without_anything: Flask) -> None:
    fast, route = both(without_anything, CASES["signed"])
    assert fast == route
    assert fast.status == 503
