"""The overview says what is so: what stands still, what is lost, who is there."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy.exc import OperationalError

from service.app import create_app
from service.components import components
from service.coordination.heartbeats import Replica
from service.database import db, transaction
from service.domain.report import Source
from service.models import Attempt, DeadLetter, Message, OperatorKey, Overflow
from service.operations import overview as overseeing
from service.providers.base import Callback
from service.recording import record
from service.sending import deliver
from service.web.ops import overview
from tests.conftest import make_settings
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.web.ops.conftest import Operator, make_operator_key

Look = Callable[[], str]
NOW = datetime.now(UTC)


def everybody_announces() -> None:
    components().heartbeats.send("web", "web-1", ())
    components().heartbeats.send("beat", "beat-1", ())
    components().heartbeats.send("worker", "send@a", ["send"])
    components().heartbeats.send("worker", "status@a", ["maintenance", "status"])


def delivered(post: Post, word: str = "delivered", code: str | None = None) -> UUID:
    message_id = post()
    deliver.deliver()
    query = db.select(Attempt.id).where(Attempt.message_id == message_id)
    attempt_id = db.session.scalars(query).one()
    report = said(word, attempt_id=attempt_id, source=Source.CALLBACK, error_code=code)
    record.record([report])
    return message_id


def change(message_id: UUID, **columns: Any) -> None:
    """Change a message; a timedelta stands for the moment so long ago."""
    now = datetime.now(UTC)
    new = {key: now - one if isinstance(one, timedelta) else one for key, one in columns.items()}
    with transaction():
        db.session.execute(db.update(Message).where(Message.id == message_id).values(**new))


def letter(**changes: Any) -> DeadLetter:
    given = {"provider": "twilio", "attempt": "", "body": b"a=b", "received_at": NOW}
    return DeadLetter(**{**given, "error": "boom", "set_aside_at": NOW, **changes})


def test_an_empty_service_that_is_whole_is_calm(context: Flask, look: Look) -> None:
    everybody_announces()
    page = look()
    assert "Nothing is stuck, nothing is lost." in page
    assert "no deliveries in the last hour" in page


def test_figures_are_those_of_the_messages(look: Look, post: Post) -> None:
    everybody_announces()
    for _ in range(3):
        delivered(post)
    delivered(post, "undelivered", "30003")
    post()
    page = look()
    assert "75.0<small>%</small>" in page
    assert "Messages per minute over the last hour: 1 failed, 1 waiting, 3 delivered." in page
    assert "Callbacks per minute over the last hour: 1 failed, 3 delivered." in page
    assert "Explained: 30003." in page
    assert "(latest 3 deliveries)" in page


def test_what_is_older_than_an_hour_is_in_no_figure(look: Look, post: Post) -> None:
    message_id = delivered(post)
    old = UUID(int=message_id.int - (3_700_000 << 80))
    with transaction():
        for table in ("status_event", "attempt"):
            column = db.metadata.tables[table]
            db.session.execute(column.delete())
        db.session.execute(db.update(Message).values(id=old))
    assert "Messages per minute over the last hour: none." in look()


def test_counts_are_kept_for_others_and_do_not_outlive_their_minute(
    context: Flask, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message of three minutes ago is counted once, and again when its count has aged."""
    monkeypatch.setattr(overseeing, "_PATIENCE", 60.0)
    message_id = post()
    ago = UUID(int=message_id.int - (180_000 << 80))
    change(message_id, id=ago)

    def counted() -> int:
        seen = overseeing.oversee()
        return sum(one.number for minute in seen.messages for one in minute.counts or ())

    assert counted() == 1
    with transaction():
        db.session.execute(db.delete(Message))
    assert counted() == 1
    redis = Redis.from_url(components().settings.redis_url.get_secret_value())
    kept = list(redis.scan_iter("waybill:shelf:messages:*"))
    assert len(kept) == 59, "the minute that still fills is never kept"
    assert all(0 < redis.ttl(name) <= 120 for name in kept)
    redis.delete(*kept)
    redis.close()
    assert counted() == 0


def test_without_beat_or_a_worker_the_page_says_what_will_not_happen(
    context: Flask, look: Look
) -> None:
    components().heartbeats.send("worker", "status@a", ["maintenance", "status"])
    page = look()
    assert "Something stands still." in page
    assert "No beat is alive" in page
    assert "No worker takes from the queue “send”." in page
    assert "No worker takes from the queue “status”." not in page


def test_a_replica_that_fell_silent_stays_on_the_page_as_gone(
    context: Flask, look: Look, redis_url: str
) -> None:
    everybody_announces()
    components().heartbeats.send("worker", "send@b", ["send"])
    assert "gone" not in look()
    with Redis.from_url(redis_url) as redis:
        assert redis.delete(*redis.scan_iter("waybill:presence:*send@b"))
    page = look()
    assert "It runs, and asks for a look." in page
    assert "Worker send@b is gone, last seen at" in page
    assert "gone" in look(), "it is remembered, also by who looks later"
    components().heartbeats.send("worker", "send@b", ["send"])
    assert "gone" not in look()


def test_a_replica_that_is_gone_for_long_is_forgotten() -> None:
    moment = NOW - timedelta(minutes=16)
    silent = Replica("worker", "send@b", ("send",), moment, moment)
    assert overseeing._remembered(overseeing._row(silent)) == silent


def test_without_redis_the_page_still_answers_and_is_whole_for_nobody_would_renew_it(
    operator_key: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overseeing, "_HURRY", -1.0)
    settings = make_settings(database_url, "redis://127.0.0.1:1/0")
    alone = create_app(settings, providers={"twilio": FakeProvider()})
    operator = Operator(alone)
    operator.log_in(operator_key)
    answer = operator.get("/")
    with alone.app_context():
        db.engine.dispose()
    assert answer.status_code == 200
    assert "Redis does not answer" in answer.text
    assert "not looked at yet" not in answer.text
    assert "Something stands still." in answer.text


def test_without_the_database_the_page_says_so_in_html(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:

    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("host=secret"))

    monkeypatch.setattr("service.queries.operators.session_by_digest", away)
    answer = operator.get("/")
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert "secret" not in answer.text


def test_messages_that_wait_for_a_worker_are_told_with_their_age(look: Look, post: Post) -> None:
    everybody_announces()
    message_id = post()
    assert "waits to be sent" not in look()
    change(message_id, due_at=timedelta(minutes=4))
    page = look()
    assert "1 message waits to be sent, the oldest for 4 min." in page
    assert "Something stands still." in page


def test_messages_put_back_for_a_sender_rate_are_not_due(
    look: Look, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody_announces()
    for _ in range(3):
        post()
    assert "<dt>Messages due</dt><dd>3, oldest " in look()
    monkeypatch.setattr(
        type(components().sender_rates), "waits", lambda _, asks: [60.0 for _ in asks]
    )
    deliver.deliver()
    assert "<dt>Messages due</dt><dd>0</dd>" in look()


def test_a_message_for_later_is_not_late(look: Look, post: Post) -> None:
    everybody_announces()
    change(post(), due_at=timedelta(days=-1))
    assert "Nothing is stuck" in look()


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"status": "submitting", "claimed_until": timedelta(minutes=5)},
            "1 message was claimed by a worker that fell silent",
        ),
        (
            {"status": "sent", "check_at": timedelta(minutes=5)},
            "1 message should have been asked about, the first 5 min ago.",
        ),
        ({"status": "in_doubt"}, "1 message in doubt needs your decision."),
        (
            {"status": "sent", "unknown_since": timedelta(0)},
            "1 message of the last 24 hours: outcome unknown for good.",
        ),
    ],
)
def test_what_is_stuck_or_lost_is_the_first_thing_said(
    look: Look, post: Post, columns: dict[str, Any], sentence: str
) -> None:
    everybody_announces()
    message_id = post()
    change(message_id, **{"due_at": timedelta(days=-1), **columns})
    page = look()
    assert sentence in page.split("</section>")[0]
    assert "Nothing is stuck" not in page


def test_callbacks_outside_the_ledger_are_told(context: Flask, look: Look) -> None:
    everybody_announces()
    waiting = Overflow(provider="twilio", attempt="", body=b"a", received_at=NOW)
    db.session.add_all([waiting, letter(), letter()])
    db.session.commit()
    page = look()
    assert "1 callback is kept in the database until Redis has room." in page
    assert "2 callbacks could not be recorded." in page


def test_an_inbox_that_nobody_empties_is_told(
    context: Flask, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody_announces()
    components().inbox.put(Callback("twilio", "", b"a=b", datetime.now(UTC)))
    assert "callbacks wait to be recorded, the oldest" not in look()
    assert 0 <= components().inbox.oldest_age() < 10
    monkeypatch.setattr(type(components().inbox), "oldest_age", lambda _: 300.0)
    page = look()
    assert "1 in the inbox: callbacks wait to be recorded, the oldest for 5 min." in page


def test_a_look_is_shared_for_two_seconds_and_its_repeat_is_free(
    operator: Operator, look: Look, post: Post
) -> None:
    first = operator.get("/live")
    post()
    known = {"If-None-Match": first.headers["ETag"]}
    assert operator.get("/live", headers=known).status_code == 304
    with operator.client.application.app_context():
        components().cache.release("overview")
    assert operator.get("/live", headers=known).status_code == 200


def age_the_look(seconds: float) -> None:
    [kept] = components().cache.read(["overview"])
    components().cache.put({"overview": {**kept, "made": kept["made"] - seconds}}, 60)


def await_the_renewal() -> None:
    for thread in threading.enumerate():
        if thread.name == overview.RENEWING:
            thread.join(timeout=30)


def test_a_look_that_aged_is_renewed_before_the_answer_where_that_is_quick(
    context: Flask, operator: Operator, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_WORTH_WAITING", 60.0)
    operator.get("/live")
    post()
    age_the_look(3)
    assert "1 waiting" in operator.get("/live").text


def test_a_look_that_aged_is_answered_with_and_renewed_for_the_next_where_that_takes_long(
    context: Flask, operator: Operator, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_WORTH_WAITING", 0.0)
    renew, may_go_on = overview._renew, threading.Event()
    monkeypatch.setattr(overview, "_renew", lambda: may_go_on.wait(30) and renew())
    first = operator.get("/live").text
    post()
    age_the_look(3)
    assert operator.get("/live").text == first
    may_go_on.set()
    await_the_renewal()
    assert "1 waiting" in operator.get("/live").text


def test_a_look_that_takes_long_is_answered_with_what_matters_most_and_made_whole_afterwards(
    context: Flask, operator: Operator, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(post)
    with transaction():
        db.session.add(letter())
    monkeypatch.setattr(overseeing, "_HURRY", -1.0)
    first = operator.get("/live").text
    assert "1 callback could not be recorded." in first
    assert first.count("60 minutes not counted yet") == 2
    assert first.count("not looked at yet") == 2
    await_the_renewal()
    second = operator.get("/live").text
    assert "Callbacks per minute over the last hour: 1 delivered." in second
    assert "(latest 1 deliveries)" in second
    assert "not looked at yet" not in second


def test_a_renewal_that_fails_is_tried_again_by_whoever_asks_next(
    context: Flask,
    operator: Operator,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = operator.get("/live").text
    post()
    age_the_look(3)
    away = OperationalError("", None, Exception("away"))
    with monkeypatch.context() as patched:
        patched.setattr(overview, "oversee", Mock(side_effect=away))
        assert operator.get("/live").text == first
        await_the_renewal()
    assert "the overview was not renewed (OperationalError)" in caplog.text
    monkeypatch.setattr(overview, "_WORTH_WAITING", 60.0)
    assert "1 waiting" in operator.get("/live").text


def test_a_look_is_renewed_by_one_while_others_ask(
    context: Flask, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.get("/live")
    age_the_look(3)
    assert components().cache.claim("overview:lock", 10)
    monkeypatch.setattr(overview, "oversee", Mock(side_effect=AssertionError))
    assert operator.get("/live").status_code == 200
    await_the_renewal()
    overview.oversee.assert_not_called()  # type: ignore[attr-defined]


def test_a_look_holds_nobodys_token(operator: Operator, post: Post) -> None:
    change(post(), status="in_doubt")
    assert "csrf_token" not in operator.get("/live").text


def test_dead_letters_are_shown_as_they_came_and_can_be_tried_again(
    context: Flask, operator: Operator
) -> None:
    db.session.add_all([letter(id=number, body=b"<b>\xff&x=1") for number in (1, 2, 3)])
    db.session.commit()
    page = operator.get("/dead-letters").text
    assert "&lt;b&gt;\ufffd&amp;x=1" in page
    assert operator.post("/dead-letters/replay", number="2").location == "/ops/dead-letters"
    left = db.session.scalars(db.select(DeadLetter.id).order_by(DeadLetter.id)).all()
    assert (left, components().inbox.lag()) == ([1, 3], 1)
    db.session.rollback()
    operator.post("/dead-letters/replay", all="yes")
    assert db.session.scalars(db.select(DeadLetter.id)).all() == []


@pytest.mark.parametrize("form", [{}, {"number": "x"}, {"number": "-1"}, {"all": "no"}])
def test_a_replay_of_nothing_in_particular_replays_nothing(
    context: Flask, operator: Operator, form: dict[str, str]
) -> None:
    db.session.add(letter())
    db.session.commit()
    operator.post("/dead-letters/replay", **form)
    assert "Nothing was chosen." in operator.get("/dead-letters").text
    assert components().inbox.lag() == 0


def test_a_test_message_is_sent_once_however_often_the_form_is(
    context: Flask, operator: Operator, provider: FakeProvider
) -> None:
    form = {"to": "+1 415 555 2671", "body": "Hello", "key": "k1", "reference": ""}
    first, again = operator.post("/test", **form), operator.post("/test", **form)
    assert first.status_code == 303
    assert first.location == again.location
    deliver.deliver()
    assert [one.to for one in provider.on_air] == ["+14155552671"]
    assert "from operators" in operator.get(first.location.removeprefix("/ops")).text


def test_a_test_message_that_cannot_be_sent_says_why_and_keeps_what_was_typed(
    operator: Operator,
) -> None:
    answer = operator.post("/test", to="nobody", body="<b>Hello", key="k2")
    assert answer.status_code == 422
    assert "write it in E.164 form" in answer.text
    assert "&lt;b&gt;Hello" in answer.text


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    found = overseeing.percentiles([float(one) for one in range(100, 0, -1)])
    assert found == (50.0, 95.0, 99.0, 100)
    assert overseeing.percentiles([7.0]) == (7.0, 7.0, 7.0, 1)
    assert overseeing.percentiles([]) is None


def test_the_name_of_an_operator_is_not_believed_either(context: Flask) -> None:
    someone = Operator(context)
    someone.log_in(make_operator_key(context, '"><script>alert(1)</script>'))
    assert db.session.scalars(db.select(OperatorKey.name)).one().startswith('">')
    assert "<script>alert" not in someone.get("/").text
