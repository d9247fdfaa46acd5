"""The ledger in monthly partitions: made ahead, dropped when old, and every report has a place."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask_migrate import upgrade
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, delete, literal_column, select, text, update
from sqlalchemy.exc import OperationalError

from service.app import create_app
from service.database import db, schema, transaction
from service.domain.message_ids import random_id
from service.domain.months import month_of, next_month, time_of
from service.domain.report import Source
from service.models import Attempt, Client, Message, StatusEvent
from service.operations import audit, ledger_partitions
from service.privacy import purge, redact
from service.queries import ledger
from service.queries.ledger_partitions import partitions
from service.recording import record
from tests.conftest import make_database, make_settings
from tests.fakes import FakeProvider, said

NOW = datetime.now(UTC)
# The first month: at the earliest two days after the migration.
FIRST = next_month(NOW + timedelta(days=2))
LATER = timedelta(days=160)  # with KEEP, two months are dropped
KEEP, KEEP_ORPHANS = 90.0, 400.0
DATABASES = count()


@pytest.fixture(scope="module")
def migrated(postgres_url: str, redis_url: str) -> str:
    """A migrated database: the others are copies of it."""
    url = make_database(postgres_url, "partitions")
    app = create_app(make_settings(url, redis_url), providers={"twilio": FakeProvider()})
    schema.prepare(app)
    with app.app_context():
        upgrade()
        for engine in db.engines.values():
            engine.dispose()
    return url


@pytest.fixture
def url(migrated: str, postgres_url: str) -> str:
    name = f"partitions_{next(DATABASES)}"
    server = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE partitions"))
    engine.dispose()
    return postgres_url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def application(url: str, redis_url: str) -> Iterator[Flask]:
    app = create_app(make_settings(url, redis_url), providers={"twilio": FakeProvider()})
    with app.app_context():
        with transaction():
            db.session.add(Client(id=1, name="billing", created_at=NOW))
        yield app
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def retention(application: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Set the days for which messages and orphans are kept."""

    def set_days() -> None:
        bound = application.extensions["waybill"]
        days = {"keep_messages": KEEP, "keep_orphans": KEEP_ORPHANS}
        changed = bound.settings.model_copy(update=days)
        monkeypatch.setitem(application.extensions, "waybill", replace(bound, settings=changed))

    return set_days


def change(now: datetime) -> list[str]:
    return list(ledger_partitions.change_partitions(now))


def advance(until: datetime) -> None:
    """Run the task once a month."""
    moment = FIRST
    while moment < until:
        change(moment)
        moment = next_month(moment)
    change(until)


def names() -> list[str]:
    with transaction():
        return [part.name.removeprefix("status_event_") for part in partitions()]


def sent_at(moment: datetime, *, ended_at: datetime | None = None) -> tuple[UUID, UUID]:
    """Store a message of this time with one attempt; return their ids."""
    message_id, attempt_id = random_id(moment), random_id(moment)
    with transaction():
        message = Message(
            id=message_id, client_id=1, to="+14155552671", body="Hello", details={},
            resend_if_unknown=False, provider="twilio", account="default", status="submitting",
            attempts=1, created_at=moment, updated_at=moment, due_at=moment,
        )  # fmt: skip
        db.session.add(message)
        db.session.flush()
        db.session.add(
            Attempt(
                id=attempt_id,
                message_id=message_id,
                number=1,
                provider="twilio",
                account="default",
                started_at=moment,
            )
        )
    record.record(
        [
            said("delivered", attempt_id=attempt_id, source=Source.CALLBACK, at=moment),
            said("sent", attempt_id=attempt_id, source=Source.CALLBACK, at=moment),
        ]
    )
    with transaction():
        db.session.execute(
            update(Message).where(Message.id == message_id).values(final_at=ended_at or moment)
        )
    return message_id, attempt_id


def places(*conditions: Any) -> list[str]:
    """Return the partitions of the events that meet these conditions."""
    place = literal_column("status_event.tableoid::regclass::text")
    query = select(place).select_from(StatusEvent).where(*conditions)
    with transaction():
        return sorted(name.removeprefix("status_event_") for name in db.session.scalars(query))


def of(message_id: UUID) -> Any:
    return StatusEvent.message_id == message_id


def months(first: datetime, number: int) -> list[str]:
    made = []
    for _ in range(number):
        made.append(f"{first:%Y_%m}")
        first = next_month(first)
    return made


def test_months_are_made_ahead_once(application: Flask) -> None:
    now = FIRST + LATER
    advance(now)
    ahead = next_month(next_month(next_month(month_of(now))))
    with transaction():
        future = partitions()[-1]
    assert names() == ["rest", *months(FIRST, 8), "future"]
    assert time_of(future.start) == ahead
    assert change(now) == []


def test_report_is_in_the_month_of_its_attempt(application: Flask) -> None:
    advance(FIRST + LATER)
    for month in (0, 2, 4):
        moment = FIRST + timedelta(days=31 * month + 2)
        message_id, _ = sent_at(moment)
        assert places(of(message_id)) == [f"{moment:%Y_%m}"] * 2
    before, _ = sent_at(FIRST - timedelta(milliseconds=1))
    assert places(of(before)) == ["rest"] * 2


def test_months_made_too_late_take_what_was_recorded(application: Flask) -> None:
    """Beat has not run for five months: no report was refused, and none is moved or lost."""
    late = [sent_at(FIRST + timedelta(days=40 * number + 40))[0] for number in (1, 2, 3)]
    assert places(StatusEvent.message_id.in_(late)) == ["future"] * 6
    change(FIRST + LATER)
    wide = f"{next_month(next_month(FIRST)):%Y_%m}"
    assert places(StatusEvent.message_id.in_(late)) == [wide] * 6
    record.record([said("delivered", sid="SM1")])
    assert all(finding.holds for finding in audit.audit())


def test_digest_that_looks_like_a_later_time_moves(application: Flask) -> None:
    """It has no time: a report found by its SID."""
    identity = b"\x01\xfe" + b"d" * 30
    with transaction():
        ledger.write_events([row(identity)])
    change(FIRST + LATER)
    with transaction():
        assert ledger.write_events([row(identity)]) == set()
    assert places(StatusEvent.identity == identity) == ["future"]


def row(identity: bytes) -> dict[str, Any]:
    event = {"identity": identity, "message_id": None, "attempt_id": None, "provider": "twilio"}
    report = {"source": Source.CALLBACK, "word": "sent", "status": None, "provider_sid": "SM1"}
    return {**event, **report, "received_at": NOW, "repeats": 0, "raw": {}}


MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_identity_has_a_place(roomy: Flask, data: st.DataObject) -> None:
    """Digests without a time, and attempts of any time, also of dropped and of later months."""
    digests = data.draw(st.lists(st.binary(min_size=32, max_size=32)))
    moments = data.draw(st.lists(MOMENTS))
    timed = [random_id(moment).bytes[:6] + b"t" * 26 for moment in moments]
    rows = [row(identity) for identity in {*digests, *timed}]
    with transaction():
        db.session.execute(delete(StatusEvent))
        assert len(ledger.write_events(rows)) == len(rows)


@pytest.fixture
def roomy(application: Flask, retention: Callable[[], None]) -> Flask:
    """A ledger in which months have been dropped."""
    retention()
    change(FIRST)
    assert "past" not in names()
    advance(FIRST + LATER)
    assert "past" in names()
    return application


def test_month_is_dropped_when_all_of_it_is_old(
    application: Flask, retention: Callable[[], None]
) -> None:
    retention()
    end, name = next_month(FIRST), f"{FIRST:%Y_%m}"
    old, _ = sent_at(end - timedelta(hours=1))
    purge_old(end + timedelta(days=1))
    too_early = end + timedelta(days=KEEP) - timedelta(seconds=1)
    advance(too_early)
    assert places(of(old)) == [name] * 2
    assert f"dropped status_event_{name}" in change(too_early + timedelta(seconds=2))
    assert places(of(old)) == []
    assert all(finding.holds for finding in audit.audit())


def purge_old(now: datetime) -> None:
    """Redact and delete all messages that have ended by this time."""
    with transaction():
        ended = db.session.scalars(select(Message.id).where(Message.final_at < now)).all()
        redact.redact_messages(ended, now)
    purge._sweep_before(purge._delete_messages, lambda _: now)


def test_ledger_of_a_kept_message_outlives_its_month(
    application: Flask, retention: Callable[[], None]
) -> None:
    """It ended long after it was sent."""
    retention()
    change(FIRST)
    kept, attempt = sent_at(FIRST, ended_at=FIRST + LATER)
    sent_at(FIRST)
    purge_old(FIRST + timedelta(days=1))
    assert db.session.scalars(select(Message.id)).all() == [kept]
    change(FIRST + LATER)
    assert places() == ["past"] * 2
    assert all(finding.holds for finding in audit.audit())
    repeated = said("delivered", attempt_id=attempt, source=Source.CALLBACK)
    record.record([repeated])
    assert repeats() == [0, 1]


def repeats() -> list[int]:
    with transaction():
        return sorted(db.session.scalars(select(StatusEvent.repeats)))


def test_orphans_outlive_their_month_as_configured(
    application: Flask, retention: Callable[[], None]
) -> None:
    retention()
    change(FIRST)
    now = next_month(FIRST) + timedelta(days=KEEP_ORPHANS + 1)
    for age in (KEEP_ORPHANS - 1, KEEP_ORPHANS + 1):
        at = now - timedelta(days=age)
        record.record([said("sent", attempt_id=random_id(FIRST), source=Source.CALLBACK, at=at)])
    change(now)
    assert places() == ["past"]


def test_late_callback_about_a_dropped_month_is_recorded(roomy: Flask) -> None:
    """Also together with others, which it must not fail."""
    _, attempt = sent_at(FIRST + LATER)
    late = said("read", attempt_id=random_id(FIRST), source=Source.CALLBACK)
    batch = record.record([late, said("read", attempt_id=attempt, source=Source.CALLBACK)])
    assert [str(effect) for effect in batch.effects] == ["orphan", "late"]
    assert places(StatusEvent.message_id.is_(None)) == ["past"]


def test_month_with_many_kept_rows_stays(
    application: Flask, retention: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The purge has not caught up: to copy them would hold up the callbacks."""
    retention()
    monkeypatch.setattr(ledger_partitions, "_MAX_STAYING", 2)
    change(FIRST)
    sent_at(FIRST)
    [*_, last] = change(FIRST + LATER)
    assert last.startswith(f"status_event_{FIRST:%Y_%m} stays")
    assert places() == [f"{FIRST:%Y_%m}"] * 2


def test_purge_leaves_redacted_events_to_their_month(application: Flask) -> None:
    """Others hold personal data: they are deleted with their message."""
    change(FIRST)
    redacted, _ = sent_at(FIRST)
    before, _ = sent_at(NOW)  # in no month that is dropped one day
    with transaction():
        redact.redact_messages([redacted, before], NOW)
    sent_at(FIRST)
    purge._sweep_before(purge._delete_messages, lambda _: FIRST + LATER)
    assert db.session.scalars(select(Message.id)).all() == []
    assert places(of(redacted)) == [f"{FIRST:%Y_%m}"] * 2
    assert places() == places(of(redacted))


def test_nothing_changes_while_the_ledger_is_read(application: Flask, url: str) -> None:
    """A report of an hour holds up callbacks for half a second, and nothing else."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as reader:
        reader.execute(select(StatusEvent.id))
        with pytest.raises(OperationalError):
            change(FIRST)
        before = names()
    engine.dispose()
    assert before == ["rest", *months(FIRST, 2), "future"]
    change(FIRST)
    assert names() == ["rest", *months(FIRST, 3), "future"]


def test_two_processes_make_the_same_months(application: Flask) -> None:
    def run() -> None:
        with application.app_context():
            failures.extend(attempt(lambda: change(FIRST + LATER)))

    failures = list[Exception]()
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert names()[-2] == f"{next_month(next_month(FIRST + LATER)):%Y_%m}"


def attempt(action: Callable[[], object]) -> list[Exception]:
    try:
        action()
    except Exception as error:
        return [error]
    return []


def test_reports_are_recorded_while_months_are_dropped(
    application: Flask, retention: Callable[[], None]
) -> None:
    """Months are dropped and made while another thread records the same report."""
    advance(FIRST + LATER)
    message_id, attempt_id = sent_at(FIRST + LATER)
    report = said("delivered", attempt_id=attempt_id, source=Source.CALLBACK)
    stop, failures, rounds = threading.Event(), list[Exception](), count()

    def write() -> None:
        with application.app_context():
            while not stop.is_set():
                failures.extend(attempt(lambda: record.record([report])))
                next(rounds)

    retention()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = change(FIRST + 2 * LATER)
    finally:
        stop.set()
        writer.join()
    assert failures == []
    assert len([each for each in done if each.startswith("dropped")]) >= 6
    assert repeats() == [0, next(rounds)]
    assert len(places(of(message_id))) == 2
