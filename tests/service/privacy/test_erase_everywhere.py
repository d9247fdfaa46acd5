"""`flask forget` removes a number in every spelling from all tables and keys of Redis.

The remaining digests do not reveal the number to an attacker who tries all numbers.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, update

from service.components import components
from service.database import db, transaction
from service.domain.report import Source
from service.domain.status import Status
from service.errors import OutcomeUnknown, Refused
from service.inbound import record as inbound
from service.inbox.inbox import Inbox
from service.models import (
    Attempt,
    Client,
    DeadLetter,
    Event,
    Message,
    Overflow,
    StatusEvent,
    WebhookDelivery,
    WebhookEndpoint,
)
from service.operations import audit, operator_actions, rebuild
from service.privacy import redact
from service.privacy.number_pattern import NumberPattern
from service.providers.base import Callback, Outbound
from service.queries import callbacks
from service.recording import consume_inbox, record, return_to_inbox
from service.redis_client.fast_client import FastClient
from service.sending import deliver
from service.webhooks import claim as webhooks
from tests.fakes import FakeProvider, said
from tests.opt_outs import store, stored
from tests.service.inbound.conversation import heard
from tests.strategies import EPOCH

pytestmark = pytest.mark.usefixtures("events_told")

NUMBER, OTHER = "+14155552671", "+14155550199"
NATIONAL = "4155552671"
SPELLINGS = [
    *(NUMBER, NUMBER[1:], NATIONAL, "(415) 555-2671", "415.555.2671", "+1 415 555 2671"),
    *(
        "1-415-555-2671",
        "001 415 555 2671",
        "011 1 415 5552671",
        "+1\u00a0(415)\u00a0555\u20112671",
    ),
    *(f"whatsapp:{NUMBER}", f"rcs:{NUMBER}", f"tel:{NUMBER}", "\uff0b\uff11 415 555 2671"),
]
ENCODED = [
    *(
        quote(NUMBER),
        quote_plus("+1 (415) 555-2671"),
        quote(quote(NUMBER)),
        quote("+1 415 5552671"),
    ),
    *(
        json.dumps("+1\u00a0415\u00a0555\u00a02671"),
        "\\u002b14155552671",
        f"whatsapp%3A{quote(NUMBER)}",
    ),
]
ALL = SPELLINGS + ENCODED
TOLD = (Event, WebhookDelivery)


def everything(redis_url: str) -> dict[str, str]:
    """All stored values as text, by place."""
    db.session.rollback()
    values = {
        f"{table.name}.{name}[{place}]": value.decode(errors="replace")
        if isinstance(value, bytes)
        else str(value)
        for table in db.metadata.sorted_tables
        for place, row in enumerate(db.session.execute(select(table)).mappings())
        for name, value in row.items()
    }
    db.session.rollback()
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter():
            kind = redis.type(key).decode()
            read: dict[str, Callable[[Any], Any]] = {
                "string": redis.get,
                "stream": lambda name: redis.xrange(name),
                "list": lambda name: redis.lrange(name, 0, -1),
                "set": redis.smembers,
                "hash": redis.hgetall,
                "zset": lambda name: redis.zrange(name, 0, -1),
            }
            values[f"redis:{key!r}"] = f"{key!r} {read[kind](key)!r}"
    return values


def places_of_number(redis_url: str) -> list[str]:
    """Places that hold the number: its digits in a row, or a spelling that the pattern matches."""
    pattern = NumberPattern(NUMBER)
    return [
        f"{place}: {text}"
        for place, text in everything(redis_url).items()
        if NATIONAL in "".join(filter(str.isdecimal, text)) or pattern.is_in(text)
    ]


def forget(app: Flask) -> Any:
    result = app.test_cli_runner().invoke(args=["forget", NUMBER])
    assert result.exit_code == 0, result.output
    return result


def end(message_id: str, word: str = "undelivered", **changes: Any) -> None:
    query = select(Attempt.id).where(Attempt.message_id == UUID(message_id))
    attempt = db.session.scalars(query.order_by(Attempt.number)).first()
    report = said(word, attempt_id=attempt, source=Source.CALLBACK, error_code="30005")
    record.record([report._replace(**changes)])


def post(web: FlaskClient, headers: dict[str, str] | None = None, **changes: Any) -> str:
    hello = {"to": NUMBER, "body": "Hello", **changes}
    answer = web.post("/v1/messages", json=hello, headers=headers or {})
    assert answer.status_code == 202, answer.json
    return str(answer.json["id"])


def subscribe(description: str) -> None:
    """Owe every event of every client to an endpoint, with the text."""
    with transaction():
        for client_id in db.session.scalars(select(Client.id)):
            endpoint = WebhookEndpoint(
                client_id=client_id,
                url="https://billing.example.com/hook",
                description=description,
                types=["message.updated"],
                statuses=list(Status),
                include_body=True,
                secrets=[],
                created_at=EPOCH,
                updated_at=EPOCH,
            )
            db.session.add(endpoint)


@pytest.fixture
def refusing(provider: FakeProvider) -> Iterator[None]:
    """A provider whose refusals quote the number."""

    def script(outbound: Outbound) -> Any:
        quotes = {"message": f"The 'To' number {NUMBER} is wrong", "To": NUMBER}
        raise Refused(quotes["message"], "21211", quotes)

    provider.script = script
    yield
    provider.script = None


def test_erased_number_is_in_no_column_and_no_redis_key(
    web: FlaskClient, context: Flask, provider: FakeProvider, redis_url: str
) -> None:
    subscribe(f"about {ALL[3]}")
    for number, spelling in enumerate(ALL):
        own = {"body": f"Call {spelling}.", "reference": spelling, "metadata": {spelling: spelling}}
        key = {"Idempotency-Key": f"job {number}: {spelling}"} if spelling.isascii() else {}
        post(web, key, **own)
        post(web, key and {"Idempotency-Key": key["Idempotency-Key"] + "b"}, to=OTHER, **own)
    template = {"content_sid": "HX" + "0" * 32, "content_variables": {"1": NUMBER}, "body": None}
    metadata = {"phone": int(NUMBER[1:])}
    channel = {"to": f"whatsapp:{NUMBER}", "from": "whatsapp:+15005550006"}
    post(web, **channel, **template, metadata=metadata)
    deliver.deliver()
    for to in (NUMBER, f"whatsapp:{NUMBER}", OTHER):
        store(to)
    with transaction():
        db.session.execute(update(Attempt).values(answer_text=f"no: {ALL[5]}"))
        for body in map(str.encode, ALL):
            callbacks.add_overflow(Callback("twilio", "", b"MessageSid=SM1&To=" + body, EPOCH))
            callbacks.add_dead_letter(Callback("twilio", "", b"x=" + body, EPOCH), "E", EPOCH)
        callbacks.add_dead_letter(
            Callback("twilio", "", b"x", EPOCH), f"KeyError({NUMBER!r})", EPOCH
        )
    for spelling in ALL:
        raw = {"To": spelling, "Body": f"Call {spelling}", "SmsStatus": "sent"}
        orphan = said("sent", sid=f"SM{len(spelling)}{hash(spelling)}")
        record.record([orphan._replace(raw=raw, error_message=f"about {spelling}")])
        inbound.record([heard(spelling, From=NUMBER), heard(f"Call {spelling}", From=OTHER)])
        body = f"MessageSid=SM2&To={spelling}".encode()
        components().inbox.put(Callback("twilio", "", body, EPOCH))
    for message_id in db.session.scalars(select(Message.id)).all():
        end(str(message_id), raw={"To": NUMBER, "word": "x"}, error_message=f"{ALL[6]} is unknown")
    assert len(places_of_number(redis_url)) > 300

    forget(context)

    assert places_of_number(redis_url) == []
    assert all(len(db.session.scalars(select(model)).all()) > len(ALL) for model in TOLD)
    statuses = db.session.execute(select(Message.status).distinct()).scalars().all()
    assert statuses == [Status.UNDELIVERED]
    assert [finding.text for finding in audit.audit() if not finding.holds] == []
    assert list(rebuild.rebuild()) == []
    others = db.session.scalars(select(Message).where(Message.to == OTHER)).all()
    assert len(others) == len(ALL)
    assert all(str(message.body).startswith("Call ") for message in others)
    assert [to for to, *_ in stored()] == [OTHER]


def test_waiting_callbacks_are_recorded_without_number(
    web: FlaskClient, context: Flask, provider: FakeProvider, redis_url: str
) -> None:
    """In the inbox and in the overflow; their statuses are recorded."""
    ids = [post(web), post(web, to=OTHER)]
    deliver.deliver()
    query = select(Attempt.id).order_by(Attempt.message_id)
    first, second = map(str, db.session.scalars(query))
    body = f"MessageStatus=delivered&To={quote(NUMBER)}&Body={NATIONAL}".encode()
    components().inbox.put(Callback("twilio", first, body + b"&MessageSid=SM1", EPOCH))
    with transaction():
        callbacks.add_overflow(Callback("twilio", second, body + b"&MessageSid=SM2", EPOCH))

    forget(context)
    assert return_to_inbox.drain_overflow() == 1
    consume_inbox.consume_inbox()
    redact.redact()

    assert [web.get(f"/v1/messages/{message_id}").json["status"] for message_id in ids] == [
        "delivered"
    ] * 2
    assert places_of_number(redis_url) == []


def test_later_callback_is_recorded_without_number(
    web: FlaskClient, context: Flask, provider: FakeProvider, redis_url: str
) -> None:
    message_id = post(web)
    deliver.deliver()
    quoting = {"raw": {"To": NUMBER}, "error_message": f"{NUMBER} is unknown"}
    end(message_id, **quoting)
    forget(context)
    end(message_id, **quoting)
    end(message_id, "delivered", raw={"To": NUMBER}, error_message=None)

    assert places_of_number(redis_url) == []
    assert web.get(f"/v1/messages/{message_id}").json["status"] == "delivered"
    events = db.session.scalars(select(StatusEvent).order_by(StatusEvent.id)).all()
    assert [(event.word, event.repeats) for event in events] == [
        ("queued", 0),
        ("undelivered", 1),
        ("delivered", 0),
    ]


def test_what_is_told_later_holds_no_number(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    """Of an event that was owed before the erasure, and of one after it."""
    subscribe("hooks")
    message_id = post(web, body=f"Call {NUMBER}", reference=NUMBER, metadata={"phone": NUMBER})
    deliver.deliver()
    end(message_id, raw={"To": NUMBER}, error_message=f"{NUMBER} is unknown")
    forget(context)
    end(message_id, "delivered", raw={"To": NUMBER}, error_message=NUMBER)

    calls = webhooks.claim(10, datetime.now(UTC))
    feed = web.get("/v1/events").json["events"]
    assert (len(calls), len(feed)) == (3, 3)
    for told in [*(call.body.decode() for call in calls), json.dumps(feed)]:
        assert not NumberPattern(NUMBER).is_in(told)
        assert json.loads(told)


# Guessing: the attacker has a copy of the database and the code, and tries every number.


def canonical(number: str) -> bytes:
    body = {"to": number, "body": "Hello"}
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def guesses() -> set[bytes]:
    """Digests of the number and of its request: plain, or keyed with a value of the database."""
    texts = [NUMBER.encode(), NATIONAL.encode(), canonical(NUMBER)]
    return {
        digest
        for text in texts
        for plain in (hashlib.sha256(text).digest(),)
        for digest in (plain, *(hmac.digest(key, plain, "sha256") for key in possible_keys()))
    }


def possible_keys() -> list[bytes]:
    """Every value of 16 to 64 bytes in the database: any can be a key."""
    tables = db.metadata.sorted_tables
    rows = [row for table in tables for row in db.session.execute(select(table)).mappings()]
    values = [value for row in rows for value in row.values()]
    return [value for value in values if isinstance(value, bytes) and 16 <= len(value) <= 64]


def stored_digests() -> set[bytes]:
    return set(possible_keys())


def test_number_cannot_be_found_by_guessing_requests(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    """Also before it is erased: the key is not in the database."""
    message_id = post(web, {"Idempotency-Key": "job 1"})
    deliver.deliver()
    assert stored_digests() & guesses() == set()
    end(message_id)
    forget(context)

    assert stored_digests() & guesses() == set()
    assert db.session.scalars(select(Message.request_digest)).all() == [None]


def test_number_cannot_be_guessed_without_ops_secret(
    web: FlaskClient, context: Flask, provider: FakeProvider, configure: Callable[..., None]
) -> None:
    """Without OPS_SECRET the key is in the database."""
    configure(ops_secret=None)
    message_id = post(web, {"Idempotency-Key": "job 1"})
    digest = db.session.scalars(select(Message.request_digest)).one()
    assert digest is not None
    assert digest != hashlib.sha256(canonical(NUMBER)).digest()
    deliver.deliver()
    end(message_id)
    forget(context)

    assert stored_digests() & guesses() == set()


@pytest.mark.usefixtures("refusing")
def test_number_cannot_be_found_by_guessing_events(web: FlaskClient, context: Flask) -> None:
    """The identity of an event is a digest of its fields, one of which quoted the number."""
    post(web)
    deliver.deliver()
    [before] = db.session.scalars(select(StatusEvent)).all()
    quote = before.error_message
    assert quote is not None
    assert NUMBER in quote
    guess = before.identity
    db.session.rollback()
    forget(context)
    db.session.expire_all()

    [after] = db.session.scalars(select(StatusEvent)).all()
    assert after.error_message is None
    assert after.identity != guess, "a guess of text and number would match"


# What clients see


def test_repeated_post_after_erasure_conflicts(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    key = {"Idempotency-Key": "job 1"}
    message_id = post(web, key)
    deliver.deliver()
    end(message_id)
    forget(context)
    for number in (NUMBER, OTHER):
        again = web.post("/v1/messages", json={"to": number, "body": "Hello"}, headers=key)
        assert again.status_code == 409
        assert "nothing was sent now" in again.json["detail"]
    deliver.deliver()
    assert len(provider.on_air) == 1


def test_digests_made_before_the_secret_was_set_still_match(
    web: FlaskClient, context: Flask, configure: Callable[..., None]
) -> None:
    key, secret = {"Idempotency-Key": "job 1"}, components().settings.ops_secret
    configure(ops_secret=None)
    first = post(web, key)
    configure(ops_secret=secret)
    assert post(web, key) == first
    changed = {"to": NUMBER, "body": "Bye"}
    assert web.post("/v1/messages", json=changed, headers=key).status_code == 409


def test_decision_keeps_its_author(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    def lost(outbound: Outbound) -> Any:
        raise OutcomeUnknown("no answer")

    provider.script = lost
    message_id = post(web)
    deliver.deliver()
    operator_actions.give_up(UUID(message_id), "Ada Lovelace")
    end(message_id)
    forget(context)

    events = web.get(f"/v1/messages/{message_id}/events").json["events"]
    raw = {event["provider_status"]: event["raw"] for event in events}
    assert raw["operator_given_up"] == {"operator": "Ada Lovelace"}


def test_provider_status_named_like_a_decision_is_redacted(
    web: FlaskClient, context: Flask, provider: FakeProvider, redis_url: str
) -> None:
    message_id = post(web)
    deliver.deliver()
    end(message_id)
    end(message_id, "operator_given_up", raw={"To": NUMBER, "operator": f"for {NUMBER}"})
    forget(context)
    assert places_of_number(redis_url) == []


def test_text_of_pending_message_is_kept(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    post(web, to=OTHER, body=f"Call {NUMBER}", reference=NUMBER)
    forget(context)
    deliver.deliver()

    assert [outbound.body for outbound in provider.on_air] == [f"Call {NUMBER}"]
    assert db.session.scalars(select(Message.reference)).one() == "+99999999999"


def test_forget_reports_that_redis_did_not_answer(
    web: FlaskClient, context: Flask, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = post(web)
    deliver.deliver()
    end(message_id)
    away = Redis.from_url("redis://127.0.0.1:1")
    unreachable = Inbox(away, FastClient(away), limit=1)
    bound = replace(components(), inbox=unreachable)
    monkeypatch.setitem(context.extensions, "waybill", bound)
    result = context.test_cli_runner().invoke(args=["forget", NUMBER])
    away.close()

    assert result.exit_code == 1
    assert "Redis is unavailable" in result.output
    assert "redacted 1 messages" in result.output
    assert web.get(f"/v1/messages/{message_id}").json["to"].startswith("forgotten:")


def test_sandbox_message_id_does_not_hold_number(
    context: Flask, redis_url: str, provider: FakeProvider
) -> None:
    created = context.test_cli_runner().invoke(args=["clients", "create", "shop", "--test"])
    headers = {"Authorization": f"Bearer {created.output.strip()}"}
    hello = {"to": NUMBER, "body": "Hello"}
    client = context.test_client()
    assert client.post("/v1/messages", json=hello, headers=headers).status_code == 202
    deliver.deliver()
    consume_inbox.consume_inbox()
    forget(context)

    assert places_of_number(redis_url) == []
    assert db.session.scalars(select(Message.status)).one() is Status.DELIVERED


@pytest.mark.parametrize("spelling", ALL)
def test_pattern_finds_every_spelling(spelling: str) -> None:
    pattern = NumberPattern(NUMBER)
    assert pattern.is_in(f"a {spelling} b", None)
    assert not pattern.is_in(pattern.mask(f"a {spelling} b"))


@pytest.mark.parametrize(
    ("number", "spelling"),
    [
        ("+4915112345678", "0151 / 123 456 78"),
        ("+4915112345678", "+49 (0)151 12345678"),
        ("+4915112345678", "0049-151-12345678"),
        ("+525512345678", "+5215512345678"),
        ("+390612345678", "+39 06 1234 5678"),
        ("+79161234567", "8 (916) 123-45-67"),
        ("+9991234567", "+9991234567"),
    ],
)
def test_pattern_finds_national_spellings(number: str, spelling: str) -> None:
    assert NumberPattern(number).is_in(f"To={spelling}&x=1")


@pytest.mark.parametrize(
    "text",
    [
        f"{NUMBER}5",
        f"5{NATIONAL}5",
        "415 555 267",
        f"{NATIONAL}0",
        "",
        "2671",
    ],
)
def test_pattern_ignores_longer_and_shorter_numbers(text: str) -> None:
    pattern = NumberPattern(NUMBER)
    assert pattern.mask(text) == text


def test_number_of_another_country_is_kept(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    """+41 55 552 67 1 ends with the same digits as +1 415 555 2671, and is another number."""
    swiss = f"+{NATIONAL}"
    for spelling in (swiss, f"whatsapp:{swiss}", f"whatsapp%3A%2B{NATIONAL}", f"tel:{swiss}"):
        assert not NumberPattern(NUMBER).is_in(spelling)
    message_id = post(web, to="+41446681800", body=f"Call {swiss}", reference=swiss)
    with transaction():  # too short for the API
        db.session.execute(update(Message).values(to=f"whatsapp:{swiss}"))
    deliver.deliver()
    end(message_id)
    forget(context)

    message = web.get(f"/v1/messages/{message_id}").json
    assert message["to"] == f"whatsapp:{swiss}"
    assert (message["body"], message["reference"]) == (f"Call {swiss}", swiss)


@pytest.mark.parametrize("to", ["whatsapp:+1 415 555 2671", "whatsapp: +1 (415) 555-2671"])
def test_channel_address_is_erased_in_every_spelling(
    web: FlaskClient, context: Flask, provider: FakeProvider, redis_url: str, to: str
) -> None:
    """Earlier versions stored channel addresses as they were posted."""
    message_id = post(web)
    deliver.deliver()
    end(message_id)
    with transaction():
        db.session.execute(update(Message).values(to=to))
    forget(context)

    assert places_of_number(redis_url) == []
    assert web.get(f"/v1/messages/{message_id}").json["to"].startswith("forgotten:")


def test_masking_keeps_json_valid(app: Flask) -> None:
    pattern = NumberPattern(NUMBER)
    values = {"phones": [int(NUMBER[1:]), NATIONAL], "ok": True, "none": None, "price": 1.5}
    changed = json.loads(pattern.mask(json.dumps(values)))
    assert changed == pattern.mask(values)
    assert changed == {
        "phones": [99999999999, "9999999999"], "ok": True, "none": None, "price": 1.5,
    }  # fmt: skip
    assert pattern.mask(b"\xff To=%2B14155552671") == b"\xff To=%2B99999999999"


def test_second_forget_finds_no_callbacks(context: Flask) -> None:
    """A second run finds nothing to do."""
    with transaction():
        callbacks.add_overflow(Callback("twilio", "", f"To={NUMBER}".encode(), EPOCH))
        callbacks.add_dead_letter(Callback("twilio", "", NUMBER.encode(), EPOCH), "E", EPOCH)
    forget(context)
    assert "deleted 0 dead letters" in forget(context).output
    assert db.session.scalars(select(DeadLetter)).all() == []
    assert db.session.scalars(select(Overflow.body)).all() == [b"To=+99999999999"]
