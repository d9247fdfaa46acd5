"""Inbound messages take the road of callbacks: none is lost, and a repeat changes nothing."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError, ProgrammingError
from uuid_utils.compat import uuid7

from service.components import components
from service.database import db, transaction
from service.domain.status import Status
from service.errors import InboxUnavailable, OverflowUnavailable
from service.inbound import record as recording
from service.inbox.inbox import Inbox
from service.inbox.overflow import OverflowTable
from service.models import DeadLetter, Event, InboundMessage, Message, OptOut, Overflow
from service.providers.base import Callback, Inbound
from service.queries import callbacks, inbound
from service.queries.dialect import is_postgresql
from service.recording import consume_inbox, return_to_inbox
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, SENDER, form, signed

pytestmark = pytest.mark.usefixtures("context")

UNDEFINED = ProgrammingError("INSERT", {}, Exception("no such column"))
LOST = OperationalError("INSERT", {}, Exception("connection lost"), connection_invalidated=True)


def entry(body: str = "Hello", **changes: str) -> Callback:
    """An inbound message as it lies in the inbox."""
    return Callback("twilio", "", urlencode(form(body, **changes)).encode(), datetime.now(UTC))


def delivered(attempt_id: object) -> Callback:
    body = urlencode({"MessageSid": "SM1", "MessageStatus": "delivered"}).encode()
    return Callback("twilio", str(attempt_id), body, datetime.now(UTC))


def put(*waiting: Callback) -> None:
    for each in waiting:
        components().inbox.put(each)


def count(model: type[Any]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def bodies() -> list[str | None]:
    db.session.rollback()
    return list(db.session.scalars(select(InboundMessage.body).order_by(InboundMessage.body)))


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Make batches fail that contain a message with the text `bad`."""
    record = recording.record

    def begin(error: Exception) -> None:
        def failing(received: Sequence[Inbound]) -> int:
            if any(message.body == "bad" for message in received):
                raise error
            return record(received)

        monkeypatch.setattr(recording, "record", failing)

    return begin


def receive(app: Flask, body: str = "Hello") -> Any:
    return app.test_client().post("/inbound/twilio", **signed("/inbound/twilio", form(body)))


def test_message_waits_in_the_overflow_without_redis(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Inbox, "put", _unavailable)
        answer = receive(app)
    assert (answer.status_code, answer.content_type) == (200, "text/xml")
    assert count(Overflow) == 1
    assert return_to_inbox.drain_overflow() == 1
    consume_inbox.consume_inbox()
    assert (bodies(), count(Overflow)) == (["Hello"], 0)


def _unavailable(*_: object) -> None:
    raise InboxUnavailable("ConnectionError")


def test_message_that_is_not_stored_is_not_acknowledged(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twilio then calls the fallback URL, and Sinch repeats."""

    def away(*_: object) -> None:
        raise OverflowUnavailable("ConnectionError")

    monkeypatch.setattr(Inbox, "put", _unavailable)
    monkeypatch.setattr(OverflowTable, "put", away)
    answer = receive(app)
    assert (answer.status_code, answer.data) == (503, b"")


@pytest.mark.usefixtures("events_told")
def test_callbacks_and_messages_of_one_batch_are_recorded(
    post: Post, provider: FakeProvider
) -> None:
    post()
    deliver.deliver()
    repeated = entry("STOP", MessageSid="SM" + "7" * 32)
    later = repeated._replace(received_at=datetime.now(UTC))
    put(repeated, delivered(provider.on_air[0].attempt_id), entry("Thanks"), later, repeated)
    assert consume_inbox.consume_inbox() == 5
    assert bodies() == ["STOP", "Thanks"]
    assert db.session.scalars(select(Message.status)).one() is Status.DELIVERED
    told = select(Event.type).where(Event.type == "message.received")
    assert len(db.session.scalars(told).all()) == 2
    assert (count(OptOut), count(DeadLetter)) == (1, 0)


@pytest.mark.parametrize("place", [0, 3, 7])
def test_unrecordable_message_is_a_dead_letter(
    fail: Callable[[Exception], None], post: Post, provider: FakeProvider, place: int
) -> None:
    post()
    deliver.deliver()
    fail(UNDEFINED)
    others = [entry(f"{number}") for number in range(6)]
    others.insert(4, delivered(provider.on_air[0].attempt_id))
    put(*others[:place], entry("bad"), *others[place:])
    consume_inbox.consume_inbox()
    assert bodies() == [f"{number}" for number in range(6)]
    assert db.session.scalars(select(Message.status)).one() is Status.DELIVERED
    [letter] = db.session.scalars(select(DeadLetter)).all()
    assert b"Body=bad" in letter.body
    assert components().inbox.lag() == 0


def test_replayed_dead_letter_is_recorded(
    fail: Callable[[Exception], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the time at which it arrived."""
    record = recording.record
    fail(UNDEFINED)
    bad = entry("bad")
    put(bad)
    consume_inbox.consume_inbox()
    monkeypatch.setattr(recording, "record", record)
    assert return_to_inbox.replay_dead_letters(None) == 1
    consume_inbox.consume_inbox()
    assert (bodies(), count(DeadLetter)) == (["bad"], 0)
    assert db.session.scalars(select(InboundMessage.received_at)).one() == bad.received_at


def test_message_stays_in_the_inbox_while_the_database_is_away(
    fail: Callable[[Exception], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = recording.record
    fail(LOST)
    put(entry("bad"), entry())
    with pytest.raises(OperationalError):
        consume_inbox.consume_inbox()
    assert (components().inbox.lag(), count(DeadLetter)) == (2, 0)
    monkeypatch.setattr(recording, "record", record)
    consume_inbox.consume_inbox()
    assert (bodies(), components().inbox.lag()) == (["Hello", "bad"], 0)


@pytest.mark.usefixtures("events_told")
def test_message_of_a_dead_worker_is_recorded_once(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies before it records the first, and before it acknowledges the second."""
    web.post("/v1/messages", json={"to": PERSON, "from": SENDER, "body": "How are you?"})
    deliver.deliver()
    put(entry("first"), entry("second"))
    taken = list[Any]()
    while len(taken) < 2:
        taken += components().inbox.take("dying", 10, linger=0.01)
    consume_inbox.record_callbacks([taken[1].callback])
    monkeypatch.setattr(consume_inbox, "IDLE", 0.0)
    assert consume_inbox.consume_inbox() == 2
    assert (bodies(), components().inbox.lag()) == (["first", "second"], 0)
    assert count(DeadLetter) == 0
    told = web.get("/v1/events?types=message.received").json["events"]
    assert sorted(event["data"]["body"] for event in told) == ["first", "second"]


def test_message_that_killed_workers_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consume_inbox, "IDLE", 0.0)
    inbox = components().inbox
    put(entry())
    while not inbox.take("dying", 10, linger=0.01):
        pass
    for _ in range(consume_inbox._MAX_DELIVERIES):
        [worn] = inbox.reclaim("dying", 10, idle=0)
    inbox.mark_suspect(worn)  # and then it dies
    consume_inbox.consume_inbox()
    assert (count(DeadLetter), bodies(), inbox.lag()) == (1, [], 0)


def test_late_repeat_of_a_stop_changes_nothing(post: Post, provider: FakeProvider) -> None:
    """It waited in the overflow while the person opted in again."""
    stop = entry("STOP")
    put(stop, entry("START"))
    consume_inbox.consume_inbox()
    with transaction():
        callbacks.add_overflow(stop._replace(received_at=datetime.now(UTC)))
    return_to_inbox.drain_overflow()
    consume_inbox.consume_inbox()
    post()
    deliver.deliver()
    assert (len(provider.on_air), count(DeadLetter)) == (1, 0)


def row(number: int) -> dict[str, Any]:
    return {
        **{"id": uuid7(), "provider": "twilio", "account": "default"},
        **{"provider_sid": f"SM{number:032d}", "from_address": PERSON, "to_address": SENDER},
        **{"messaging_service_sid": None, "body": None, "media": [], "keyword": None, "raw": {}},
        **{"client_id": None, "in_reply_to": None, "received_at": datetime.now(UTC)},
        **{"provider_time": None, "redacted_at": None},
    }


def test_batches_in_opposite_order_insert_each_once(context: Flask) -> None:
    """Two workers with the same messages must not wait for each other in a circle."""
    if not is_postgresql():
        pytest.skip("SQLite runs one write transaction at a time")
    start = Barrier(2)

    def insert(numbers: range) -> int:
        rows = [row(number) for number in numbers]
        start.wait()
        with context.app_context(), transaction():
            return len(inbound.insert(rows))

    with ThreadPoolExecutor(2) as pool:
        added = sum(pool.map(insert, [range(4_000), range(3_999, -1, -1)]))
    assert (added, count(InboundMessage)) == (4_000, 4_000)
