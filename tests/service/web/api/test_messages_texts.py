"""What a text costs is in the answer; what no provider would take is refused before."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from service.database import db, transaction
from service.models import Message
from service.privacy import redact
from service.sending import deliver
from tests.fakes import FakeProvider, said

NUMBER = "+14155552671"
CONTENT = "HX" + "0" * 32
PICTURE = ["https://example.com/a.png"]
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # 11 units, one grapheme


def post(web: FlaskClient, **fields: Any) -> Any:
    return web.post("/v1/messages", json={"to": NUMBER, **fields})


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("x" * 1601, 1601),
        ("\U0001f600" * 801, 1602),
        ("\U0001f600" * 1600, 3200),
        ("x" * 2001, 2001),
    ],
)
def test_too_long_text_is_refused_with_its_length(web: FlaskClient, body: str, count: int) -> None:
    for content in ({"body": body}, {"body": body, "media_urls": PICTURE}):
        answer = post(web, **content)
        assert answer.status_code == 422
        [error] = answer.json["errors"]
        assert error["field"] == "body"
        assert f"but has {count} " in error["message"]
        assert "1600" in error["message"]


@pytest.mark.parametrize("body", ["x" * 1600, "\U0001f600" * 800, "\u0142" * 1600])
def test_text_of_maximum_length_is_accepted(web: FlaskClient, body: str) -> None:
    assert post(web, body=body).status_code == 202


def test_too_long_template_variable_is_refused(web: FlaskClient) -> None:
    answer = post(web, content_sid=CONTENT, content_variables={"1": "x" * 1601})
    [error] = answer.json["errors"]
    assert error["field"] == "content_variables.1"
    assert "but has 1601 " in error["message"]


@pytest.mark.parametrize(
    "body", [" ", "\n\t ", "\u200b\ufeff", "\u00a0\u3000", "\u2800", "\u3164", "\u202e\u200d\ufe0f"]
)
def test_text_without_a_visible_character_is_refused(web: FlaskClient, body: str) -> None:
    for content in ({"body": body}, {"body": body, "media_urls": PICTURE}):
        [error] = post(web, **content).json["errors"]
        assert error["field"] == "body"
        assert "visible character" in error["message"]


@pytest.mark.parametrize(
    ("body", "segments", "encoding"),
    [
        ("a" * 160, 1, "gsm-7"),
        ("a" * 161, 2, "gsm-7"),
        ("a" * 159 + "\u2019", 3, "ucs-2"),
        ("\u20ac" * 80, 1, "gsm-7"),
        ("\u0142" * 70, 1, "ucs-2"),
        ("\u0142" * 71, 2, "ucs-2"),
        (FAMILY * 6, 1, "ucs-2"),
        # 12 of them are 132 units, fewer than two parts hold; a part holds six of them, uncut.
        ("ab" + FAMILY * 12, 3, "ucs-2"),
    ],
)
def test_answer_has_segments_and_encoding(
    web: FlaskClient, body: str, segments: int, encoding: str
) -> None:
    answer = post(web, body=body)
    assert (answer.json["segments"], answer.json["encoding"]) == (segments, encoding)
    [item] = web.post("/v1/messages/batch", json={"messages": [{"to": NUMBER, "body": body}]}).json[
        "results"
    ]
    assert (item["message"]["segments"], item["message"]["encoding"]) == (segments, encoding)


@pytest.mark.parametrize(
    "fields",
    [
        {"content_sid": CONTENT},
        {"media_urls": PICTURE, "body": "Look"},
        {"to": f"whatsapp:{NUMBER}", "from": "whatsapp:+15005550006", "body": "Hello"},
    ],
)
def test_other_content_than_sms_text_has_no_estimate(
    web: FlaskClient, fields: dict[str, Any]
) -> None:
    answer = post(web, **fields)
    assert (answer.json["segments"], answer.json["encoding"]) == (None, None)


def test_segments_of_the_provider_replace_the_estimate(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    key = {"Idempotency-Key": "k"}
    hello = {"to": NUMBER, "body": "a" * 161}
    first = web.post("/v1/messages", json=hello, headers=key)
    place = first.headers["Location"]
    assert web.get(place).json["segments"] == 2
    provider.script = lambda outbound: said(attempt_id=outbound.attempt_id, sid="SM1")._replace(
        segments=3
    )
    deliver.deliver()
    shown = web.get(place).json
    assert (shown["segments"], shown["encoding"]) == (3, "gsm-7")
    assert web.post("/v1/messages", json=hello, headers=key).data == first.data


def test_estimate_remains_after_redaction(web: FlaskClient, context: Flask) -> None:
    place = post(web, body="a" * 161).headers["Location"]
    message = db.session.scalars(select(Message)).one()
    with transaction():
        redact.redact_messages([message.id], message.created_at)
    shown = web.get(place).json
    assert (shown["body"], shown["segments"], shown["encoding"]) == (None, 2, "gsm-7")


def test_smart_encoded_text_is_stored_and_sent(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    body = "It\u2019s \u201cdone\u201d \u2013 \u2039see\u203a\u2026" + "a" * 130
    answer = post(web, body=body, smart_encoding=True).json
    assert answer["body"] == 'It\'s "done" - <see>...' + "a" * 130
    assert (answer["segments"], answer["encoding"], answer["smart_encoding"]) == (1, "gsm-7", True)
    plain = post(web, body=body).json
    assert (plain["body"], plain["smart_encoding"]) == (body, False)
    assert (plain["segments"], plain["encoding"]) == (3, "ucs-2")
    deliver.deliver()
    sent = {outbound.body: outbound.smart_encoding for outbound in provider.on_air}
    assert sent == {answer["body"]: True, body: False}


def test_length_is_counted_after_smart_encoding(web: FlaskClient) -> None:
    assert post(web, body="\u2026" * 533, smart_encoding=True).status_code == 202
    [error] = post(web, body="\u2026" * 534, smart_encoding=True).json["errors"]
    assert "but has 1602 " in error["message"]


def test_text_that_becomes_empty_by_encoding_is_refused(web: FlaskClient) -> None:
    assert post(web, body="\u2060\u200b", smart_encoding=True).status_code == 422
