"""The overview page: health, problems, figures, replicas."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from service.app import create_app
from service.components import components
from service.coordination.heartbeats import Replica
from service.database import db, transaction
from service.domain.report import Source
from service.errors import Unavailable
from service.models import Attempt, DeadLetter, Message, OperatorKey, Overflow
from service.operations import overview, replicas
from service.operations.latency import percentiles
from service.operations.overview import Overview, read_overview
from service.providers.base import Callback
from service.queries.dialect import is_postgresql
from service.recording import record
from service.sending import deliver
from service.web.ops import overview as page
from tests.conftest import make_settings
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.web.ops.conftest import Operator, make_operator_key

ReadOverview = Callable[[], str]
NOW = datetime.now(UTC)
HEALTHY = "Healthy: no backlog, no failures"


def all_replicas_announce() -> None:
    components().heartbeats.send("web", "web-1", ())
    components().heartbeats.send("beat", "beat-1", ())
    components().heartbeats.send("worker", "send@a", ["send"])
    components().heartbeats.send("worker", "status@a", ["maintenance", "status", "webhooks"])


def delivered(post: Post, word: str = "delivered", code: str | None = None) -> UUID:
    message_id = post()
    deliver.deliver()
    query = db.select(Attempt.id).where(Attempt.message_id == message_id)
    attempt_id = db.session.scalars(query).one()
    report = said(word, attempt_id=attempt_id, source=Source.CALLBACK, error_code=code)
    record.record([report])
    return message_id


def change(message_id: UUID, **columns: Any) -> None:
    """Change a message; a timedelta means that long ago."""
    now = datetime.now(UTC)
    new = {
        name: now - value if isinstance(value, timedelta) else value
        for name, value in columns.items()
    }
    with transaction():
        db.session.execute(db.update(Message).where(Message.id == message_id).values(**new))


def dead_letter(**changes: Any) -> DeadLetter:
    columns = {"provider": "twilio", "attempt": "", "body": b"a=b", "received_at": NOW}
    return DeadLetter(**{**columns, "error": "boom", "set_aside_at": NOW, **changes})


def in_request(app: Flask, call: Callable[[], str]) -> str:
    with app.test_request_context("/ops/live"):
        return call()


def test_empty_service_is_healthy(context: Flask, fresh_overview: ReadOverview) -> None:
    all_replicas_announce()
    text = fresh_overview()
    assert HEALTHY in text
    assert "no deliveries in the last hour" in text


def test_figures_count_messages_and_callbacks(fresh_overview: ReadOverview, post: Post) -> None:
    all_replicas_announce()
    for _ in range(3):
        delivered(post)
    delivered(post, "undelivered", "30003")
    post()
    text = fresh_overview()
    assert "75.0<small>%</small>" in text
    assert "Messages per minute over the last hour: 1 failed, 1 waiting, 3 delivered." in text
    assert "Callbacks per minute over the last hour: 1 failed, 3 delivered." in text
    assert "Explained: 30003." in text
    assert "(latest 3 deliveries)" in text


def test_messages_older_than_an_hour_are_not_counted(
    fresh_overview: ReadOverview, post: Post
) -> None:
    message_id = delivered(post)
    old = UUID(int=message_id.int - (3_700_000 << 80))
    with transaction():
        for table in ("status_event", "attempt"):
            column = db.metadata.tables[table]
            db.session.execute(column.delete())
        db.session.execute(db.update(Message).values(id=old))
    assert "Messages per minute over the last hour: none." in fresh_overview()


def test_counts_of_past_minutes_are_cached_for_a_while(context: Flask, post: Post) -> None:
    """A message of three minutes ago is counted again when its count expired."""
    message_id = post()
    ago = UUID(int=message_id.int - (180_000 << 80))
    change(message_id, id=ago)

    def count() -> int:
        figures = read_overview().database
        assert figures
        return sum(row.number for minute in figures.messages for row in minute.counts or ())

    assert count() == 1
    with transaction():
        db.session.execute(db.delete(Message))
    assert count() == 1
    redis = Redis.from_url(components().settings.redis_url.get_secret_value())
    keys = list(redis.scan_iter("*:messages:*"))
    assert len(keys) == 59, "the current minute is never cached"
    assert all(0 < redis.ttl(key) <= 120 for key in keys)
    redis.delete(*keys)
    redis.close()
    assert count() == 0


def test_missing_beat_or_worker_is_critical(context: Flask, fresh_overview: ReadOverview) -> None:
    components().heartbeats.send("worker", "status@a", ["maintenance", "status", "webhooks"])
    text = fresh_overview()
    assert "Critical: " in text
    assert "Beat is not running" in text
    assert "No worker reads the queue “send”" in text
    assert "No worker reads the queue “status”" not in text


def test_replica_without_heartbeat_is_shown_as_stopped(
    context: Flask, fresh_overview: ReadOverview, redis_url: str
) -> None:
    all_replicas_announce()
    components().heartbeats.send("worker", "send@b", ["send"])
    assert "stopped" not in fresh_overview()
    with Redis.from_url(redis_url) as redis:
        assert redis.delete(*redis.scan_iter("waybill:presence:*send@b"))
    text = fresh_overview()
    assert "Degraded: Worker send@b stopped unexpectedly" in text
    assert "Its last heartbeat was at" in text
    assert "send@b stopped" in fresh_overview(), "it stays on the page"
    components().heartbeats.send("worker", "send@b", ["send"])
    assert "stopped" not in fresh_overview()


def test_stopped_replica_is_shown_for_15_minutes(context: Flask) -> None:
    moment = NOW - timedelta(minutes=16)
    replica = Replica("worker", "send@b", ("send",), moment, moment)
    components().cache.put({"replicas": [replicas._to_row(replica)]}, 60)
    assert replicas.replicas(NOW - timedelta(minutes=2)).gone == [replica]
    components().cache.put({"replicas": [replicas._to_row(replica)]}, 60)
    assert replicas.replicas(NOW).gone == []


def test_page_answers_without_redis(operator_key: str, database_url: str, post: Post) -> None:
    post()
    settings = make_settings(database_url, "redis://127.0.0.1:1/0")
    app = create_app(settings, providers={"twilio": FakeProvider()})
    operator = Operator(app)
    operator.log_in(operator_key)
    answer = operator.get("/")
    with app.app_context():
        db.engine.dispose()
    assert answer.status_code == 200
    assert "Critical: Redis unavailable" in answer.text
    assert "1 waiting" in answer.text


def test_page_says_that_the_broker_is_unavailable(
    operator_key: str, database_url: str, redis_url: str
) -> None:
    settings = make_settings(database_url, redis_url, BROKER_URL="amqp://127.0.0.1:1")
    app = create_app(settings, providers={"twilio": FakeProvider()})
    operator = Operator(app)
    operator.log_in(operator_key)
    answer = operator.get("/")
    with app.app_context():
        db.engine.dispose()
    assert "Broker unavailable" in answer.text
    assert "Redis unavailable" not in answer.text


def database_error(*_: object, **__: object) -> None:
    raise OperationalError("SELECT secret", {}, Exception("host=secret"))


def test_page_without_sessions_says_database_unavailable(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.queries.operators.session_by_digest", database_error)
    answer = operator.get("/")
    assert answer.status_code == 503
    assert "Database unavailable" in answer.text
    assert "secret" not in answer.text


def test_page_shows_replicas_without_the_database(
    context: Flask,
    operator: Operator,
    fresh_overview: ReadOverview,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    components().heartbeats.send("worker", "send@a", ["send"])
    monkeypatch.setattr("service.queries.backlog.measure", database_error)
    text = fresh_overview()
    assert "Critical: Database unavailable or too slow" in text
    assert "send@a" in text
    assert "overview without the database: OperationalError" in caplog.text
    assert "secret" not in text + caplog.text


def test_error_in_a_statement_is_not_hidden(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Mock(side_effect=ProgrammingError("", None, Exception("no such column")))
    monkeypatch.setattr("service.queries.backlog.measure", error)
    with pytest.raises(ProgrammingError):
        read_overview()


def test_slow_statement_ends_after_the_timeout(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_postgresql():
        pytest.skip("SQLite reads wait for no writer")
    monkeypatch.setattr(overview, "_STATEMENT_TIMEOUT", 0.2)

    def slow(_now: datetime) -> None:
        db.session.execute(text("SELECT pg_sleep(30)"))

    monkeypatch.setattr("service.queries.backlog.measure", slow)
    start = time.monotonic()
    assert read_overview().database is None
    assert time.monotonic() - start < 5
    assert db.session.scalar(text("SHOW statement_timeout")) == "10s"


def test_messages_due_for_long_are_critical(fresh_overview: ReadOverview, post: Post) -> None:
    all_replicas_announce()
    message_id = post()
    assert "message due" not in fresh_overview()
    change(message_id, due_at=timedelta(minutes=4))
    text = fresh_overview()
    assert "Critical: 1 message due, the oldest for 4 min" in text
    assert "Critical: " in text


def test_messages_rescheduled_for_a_sender_rate_are_not_due(
    fresh_overview: ReadOverview, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_replicas_announce()
    for _ in range(3):
        post()
    assert "<dt>Messages due</dt><dd>3, oldest " in fresh_overview()
    monkeypatch.setattr(
        type(components().sender_rates), "delays", lambda _, requests: [60.0 for _ in requests]
    )
    deliver.deliver()
    assert "<dt>Messages due</dt><dd>0</dd>" in fresh_overview()


def test_message_scheduled_for_later_is_not_due(fresh_overview: ReadOverview, post: Post) -> None:
    all_replicas_announce()
    change(post(), due_at=timedelta(days=-1))
    assert HEALTHY in fresh_overview()


@pytest.mark.parametrize(
    ("columns", "summary"),
    [
        (
            {"status": "submitting", "claimed_until": timedelta(minutes=5)},
            "1 expired claim",
        ),
        (
            {"status": "sent", "check_at": timedelta(minutes=5)},
            "1 overdue look-up, the oldest due 5 min ago",
        ),
        ({"status": "in_doubt"}, "1 message in doubt to decide"),
        (
            {"status": "sent", "unknown_since": timedelta(0)},
            "1 message with an unknown outcome",
        ),
    ],
)
def test_problem_is_in_the_first_section(
    fresh_overview: ReadOverview, post: Post, columns: dict[str, Any], summary: str
) -> None:
    all_replicas_announce()
    message_id = post()
    change(message_id, **{"due_at": timedelta(days=-1), **columns})
    text = fresh_overview()
    assert summary in text.split("</section>")[0]
    assert HEALTHY not in text


def test_overflow_and_dead_letters_are_problems(
    context: Flask, fresh_overview: ReadOverview
) -> None:
    all_replicas_announce()
    overflow = Overflow(provider="twilio", attempt="", body=b"a", received_at=NOW)
    db.session.add_all([overflow, dead_letter(), dead_letter()])
    db.session.commit()
    text = fresh_overview()
    assert "1 callback in the overflow table" in text
    assert "Degraded: 1 callback in the overflow table (and 1 more)" in text
    assert "2 callbacks could not be recorded" in text


def test_inbox_that_is_not_drained_is_critical(
    context: Flask, fresh_overview: ReadOverview, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_replicas_announce()
    components().inbox.put(Callback("twilio", "", b"a=b", datetime.now(UTC)))
    assert "in the inbox, the oldest" not in fresh_overview()
    assert 0 <= components().inbox.oldest_age() < 10
    monkeypatch.setattr(type(components().inbox), "oldest_age", lambda _: 300.0)
    text = fresh_overview()
    assert "Critical: 1 callback in the inbox, the oldest for 5 min" in text


def test_overview_is_read_once_in_two_seconds(
    operator: Operator, fresh_overview: ReadOverview, post: Post
) -> None:
    first = operator.get("/live")
    post()
    etag = {"If-None-Match": first.headers["ETag"]}
    assert operator.get("/live", headers=etag).status_code == 304
    fresh_overview()
    assert operator.get("/live", headers=etag).status_code == 200


def test_many_open_tabs_cause_one_reading(
    context: Flask, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[float] = []

    def slow() -> Overview:
        readings.append(time.monotonic())
        time.sleep(0.3)
        return read_overview()

    monkeypatch.setattr(page, "read_overview", slow)
    cache = page.OverviewCache()
    with ThreadPoolExecutor(25) as tabs:
        texts = list(tabs.map(lambda _: in_request(context, cache.html), range(25)))
    assert len(set(texts)) == len(readings) == 1


def test_previous_overview_is_shown_while_one_is_read(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_FRESH", 0.0)
    cache = page.OverviewCache()
    first = in_request(context, cache.html)
    reading, may_end = threading.Event(), threading.Event()

    def stuck() -> Overview:
        reading.set()
        assert may_end.wait(30)
        return read_overview()

    monkeypatch.setattr(page, "read_overview", stuck)
    with ThreadPoolExecutor(1) as other:
        second = other.submit(in_request, context, cache.html)
        assert reading.wait(30)
        assert in_request(context, cache.html) == first
        may_end.set()
        assert second.result(30) != first


def test_first_overview_that_takes_too_long_is_unavailable(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_FIRST_WAIT", 0.01)
    cache = page.OverviewCache()
    cache._lock.acquire()
    with pytest.raises(Unavailable, match="retry"):
        in_request(context, cache.html)


def test_failed_reading_does_not_block_the_next(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = page.OverviewCache()
    with monkeypatch.context() as patched:
        patched.setattr(page, "read_overview", Mock(side_effect=KeyError("code")))
        with pytest.raises(KeyError, match="code"):
            in_request(context, cache.html)
    assert "Figures of" in in_request(context, cache.html)


def test_shared_overview_holds_no_csrf_token(operator: Operator, post: Post) -> None:
    change(post(), status="in_doubt")
    assert "csrf_token" not in operator.get("/live").text


def test_dead_letters_are_shown_escaped_and_replayed(context: Flask, operator: Operator) -> None:
    db.session.add_all([dead_letter(id=number, body=b"<b>\xff&x=1") for number in (1, 2, 3)])
    db.session.commit()
    listed = operator.get("/dead-letters").text
    assert "&lt;b&gt;\ufffd&amp;x=1" in listed
    assert operator.post("/dead-letters/replay", number="2").location == "/ops/dead-letters"
    left = db.session.scalars(db.select(DeadLetter.id).order_by(DeadLetter.id)).all()
    assert (left, components().inbox.lag()) == ([1, 3], 1)
    db.session.rollback()
    operator.post("/dead-letters/replay", all="yes")
    assert db.session.scalars(db.select(DeadLetter.id)).all() == []


@pytest.mark.parametrize("form", [{}, {"number": "x"}, {"number": "-1"}, {"all": "no"}])
def test_replay_without_a_selection_replays_nothing(
    context: Flask, operator: Operator, form: dict[str, str]
) -> None:
    db.session.add(dead_letter())
    db.session.commit()
    operator.post("/dead-letters/replay", **form)
    assert "No dead letter was selected." in operator.get("/dead-letters").text
    assert components().inbox.lag() == 0


def test_test_message_is_sent_once_for_two_posts_of_a_form(
    context: Flask, operator: Operator, provider: FakeProvider
) -> None:
    form = {"to": "+1 415 555 2671", "body": "Hello", "key": "k1", "reference": ""}
    first, again = operator.post("/test", **form), operator.post("/test", **form)
    assert first.status_code == 303
    assert first.location == again.location
    deliver.deliver()
    assert [message.to for message in provider.on_air] == ["+14155552671"]
    assert "from operators" in operator.get(first.location.removeprefix("/ops")).text


def test_invalid_test_message_keeps_the_form_and_says_why(
    operator: Operator,
) -> None:
    answer = operator.post("/test", to="nobody", body="<b>Hello", key="k2")
    assert answer.status_code == 422
    assert "write it in E.164 form" in answer.text
    assert "&lt;b&gt;Hello" in answer.text


def test_percentiles_use_the_nearest_rank() -> None:
    assert percentiles([float(second) for second in range(100, 0, -1)]) == (50, 95, 99, 100)
    assert percentiles([7.0]) == (7.0, 7.0, 7.0, 1)
    assert percentiles([]) is None


def test_operator_name_is_escaped(context: Flask) -> None:
    operator = Operator(context)
    operator.log_in(make_operator_key(context, '"><script>alert(1)</script>'))
    assert db.session.scalars(db.select(OperatorKey.name)).one().startswith('">')
    assert "<script>alert" not in operator.get("/").text
