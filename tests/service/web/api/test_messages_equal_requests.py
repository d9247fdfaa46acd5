"""Two requests are the same when they ask for the same, however they are written."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from service.database import db, transaction
from service.models import Message
from service.sending.idempotency import digest_of_json, keyed
from service.web.api import fields

HELLO = {"to": "+14155552671", "body": "Hello", "metadata": {"n": 5}}
TEMPLATE = {"to": "+14155552671", "content_sid": "HX" + "a" * 32}
SERVICE = "MG" + "0" * 31


def post(web: FlaskClient, message: Any, key: str = "k") -> TestResponse:
    return web.post("/v1/messages", json=message, headers={"Idempotency-Key": key})


def at(offset_hours: int, moment: datetime) -> str:
    zone = datetime.fromisoformat(f"2026-01-01T00:00:00+0{offset_hours}:00").tzinfo
    return moment.astimezone(zone).isoformat()


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
LATER = {**HELLO, "send_at": at(0, TOMORROW)}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HELLO, {**HELLO, "reference": None}),
        (HELLO, {**HELLO, "priority": "normal"}),
        (HELLO, {**HELLO, "resend_if_unknown": False, "smart_encoding": False}),
        (HELLO, {**HELLO, "media_urls": None, "provider": None, "from": None}),
        (HELLO, {**HELLO, "to": "+1 (415) 555-2671"}),
        (HELLO, {**HELLO, "metadata": {"n": 5.0}}),
        ({"to": HELLO["to"], "body": "Hi"}, {"to": HELLO["to"], "body": "Hi", "metadata": {}}),
        ({**HELLO, "validity_period": 60}, {**HELLO, "validity_period": 60.0}),
        ({**HELLO, "from": "+15005550006"}, {**HELLO, "from": "+1 (500) 555-0006"}),
        (LATER, {**HELLO, "send_at": at(2, TOMORROW)}),
        (LATER, {**HELLO, "send_at": LATER["send_at"].replace("+00:00", ".000Z")}),
        (TEMPLATE, {**TEMPLATE, "content_sid": "HX" + "A" * 32}),
        (
            {**HELLO, "messaging_service_sid": SERVICE + "a"},
            {**HELLO, "messaging_service_sid": SERVICE + "A"},
        ),
    ],
)
def test_request_with_other_spelling_is_a_repeat(web: FlaskClient, first: Any, second: Any) -> None:
    answer, repeat = post(web, first), post(web, second)
    assert (answer.status_code, repeat.status_code) == (202, 202), repeat.json
    assert repeat.data == answer.data
    assert repeat.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "change",
    [
        {"priority": "high"},
        {"reference": ""},
        {"metadata": {"n": 6}},
        {"metadata": {"n": "5"}},
        {"metadata": {"n": True}},
        {"metadata": {"n": 5, "m": None}},
        {"smart_encoding": True},
        {"from": "+15005550006"},
        {"body": "Hello "},
    ],
)
def test_different_request_is_a_conflict(web: FlaskClient, change: Any) -> None:
    assert post(web, HELLO).status_code == 202
    assert post(web, {**HELLO, **change}).status_code == (422 if "reference" in change else 409)


def test_equal_items_of_a_batch_are_repeats(web: FlaskClient, context: Flask) -> None:
    def batch(*messages: Any) -> TestResponse:
        headers = {"Idempotency-Key": "k"}
        return web.post("/v1/messages/batch", json={"messages": messages}, headers=headers)

    first = batch(HELLO, {**HELLO, "body": "Other"})
    second = batch(
        {**HELLO, "priority": "normal"}, {**HELLO, "to": "+1 4155552671", "body": "Other"}
    )
    assert second.data == first.data
    assert second.headers["Idempotent-Replayed"] == "true"
    assert db.session.scalars(select(func.count()).select_from(Message)).one() == 2


def test_repeat_survives_a_changed_default_sender(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    first = post(web, HELLO)
    fake = app.extensions["waybill"].providers["twilio"]
    monkeypatch.setattr(fake, "default_sender", lambda: None)
    assert post(web, HELLO).data == first.data


def test_repeat_of_a_request_of_the_previous_version(web: FlaskClient, context: Flask) -> None:
    """A deploy replaces the version between two posts: the stored digest is of the JSON."""
    message = {**HELLO, "priority": "normal", "reference": None}
    first = post(web, message)
    with transaction():
        db.session.execute(db.update(Message).values(request_digest=keyed(digest_of_json(message))))
    assert post(web, message).data == first.data
    assert post(web, {**message, "body": "Other"}).status_code == 409


def test_repeat_of_a_request_that_is_invalid_by_now(web: FlaskClient, context: Flask) -> None:
    message = {**HELLO, "to": "+1415555CALL"}
    first = post(web, HELLO)
    with transaction():
        db.session.execute(db.update(Message).values(request_digest=keyed(digest_of_json(message))))
    assert post(web, message).data == first.data
    assert post(web, message, "another key").status_code == 422


def test_repeat_after_send_at_with_other_spelling(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = post(web, LATER)

    class InTwoDays(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=2)

    monkeypatch.setattr(fields, "datetime", InTwoDays)
    second = post(web, {**HELLO, "priority": "normal", "send_at": at(2, TOMORROW)})
    assert (second.status_code, second.data) == (202, first.data)
    assert post(web, LATER, "another key").status_code == 422


def test_default_region_makes_spellings_equal(
    web: FlaskClient, configure: Callable[..., None]
) -> None:
    configure(default_region="US")
    assert post(web, HELLO).data == post(web, {**HELLO, "to": "(415) 555-2671"}).data


def test_deeply_nested_request_with_a_key_gets_4xx(web: FlaskClient) -> None:
    """Some depths can be read and not be written again: where they begin depends on the stack."""
    for depth in range(880, 995):
        nested = "[" * depth + "]" * depth
        answer = web.post(
            "/v1/messages",
            data=f'{{"to":"+14155552671","body":"Hello","metadata":{{"a":{nested}}}}}',
            content_type="application/json",
            headers={"Idempotency-Key": "k"},
        )
        assert answer.status_code in (400, 422), depth
