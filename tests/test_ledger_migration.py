"""The migration to partitions keeps every event, also of reports that arrive meanwhile."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from uuid_utils.compat import uuid7

from service.app import create_app
from service.database import db, schema, transaction
from service.domain.message_ids import random_id
from service.domain.report import Source
from service.models import StatusEvent
from service.queries.dialect import is_postgresql
from service.recording import record
from tests.conftest import make_database, make_settings
from tests.fakes import FakeProvider, said

BEFORE = "0015"
# A digest that looks like a time in 2033.
LATER = b"\x01\xd4" + b"d" * 30


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Flask]:
    """An application over a database at the revision before."""
    url = f"sqlite:///{request.getfixturevalue('tmp_path')}/old.db"
    if request.param == "postgresql":
        url = make_database(request.getfixturevalue("postgres_url"), f"ledger_{uuid7().hex}")
    app = create_app(make_settings(url, redis_url), providers={"twilio": FakeProvider()})
    schema.prepare(app)
    with app.app_context():
        upgrade(revision=BEFORE)
        yield app
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def identities() -> dict[bytes, int]:
    with transaction():
        rows = db.session.execute(db.select(StatusEvent.identity, StatusEvent.repeats))
        return {row.identity: row.repeats for row in rows}


def orphans(number: int) -> list[bytes]:
    """Record orphans of all kinds; return their identities."""
    reports = [said("sent", sid=f"SM{each}", source=Source.CALLBACK) for each in range(number)]
    reports.append(said("sent", attempt_id=random_id(datetime.now(UTC)), source=Source.CALLBACK))
    record.record(reports)
    with transaction():
        event = db.session.scalars(db.select(StatusEvent).limit(1)).one()
        copy = {column.name: getattr(event, column.name) for column in event.__table__.columns}
        del copy["id"]
        db.session.add(StatusEvent(**{**copy, "identity": LATER}))
    return [report.identity for report in reports] + [LATER]


def test_events_survive_the_partitions_both_ways(old: Flask) -> None:
    before = orphans(300)
    for step in (upgrade, lambda: downgrade(revision=BEFORE), upgrade):
        step()
        assert identities() == dict.fromkeys(before, 0)
    record.record([said("sent", sid="SM7", source=Source.CALLBACK)])
    assert sorted(identities().values()) == [0] * (len(before) - 1) + [1]


def test_interrupted_migration_is_repeated(old: Flask) -> None:
    """It had put a digest aside, for months that begin at another time."""
    if not is_postgresql():
        pytest.skip("on SQLite it is one transaction")
    before = orphans(10)
    with db.engine.begin() as connection:
        for statement in (
            "ALTER TABLE status_event DROP CONSTRAINT fk_status_event_message_id",
            "CREATE TABLE status_event_moved (LIKE status_event INCLUDING DEFAULTS)",
            "WITH moved AS (DELETE FROM status_event WHERE identity >= '\\x01d4' "
            "AND identity < '\\x01d5' RETURNING *) "
            "INSERT INTO status_event_moved SELECT * FROM moved",
            "ALTER TABLE status_event ADD CONSTRAINT ck_status_event_rest "
            "CHECK (identity < '\\x01d4' OR identity >= '\\x02') NOT VALID",
        ):
            connection.execute(text(statement))
    upgrade()
    assert identities() == dict.fromkeys(before, 0)


def test_reports_are_recorded_while_the_ledger_is_partitioned(old: Flask) -> None:
    """Also where a report of an hour holds the ledger for a while."""
    if not is_postgresql():
        pytest.skip("SQLite has one writer")
    attempts = [random_id(datetime.now(UTC) - timedelta(days=day)) for day in range(40)]
    reports = [said("sent", attempt_id=each, source=Source.CALLBACK) for each in attempts]
    stop, failures, rounds = threading.Event(), list[Exception](), list[int]()

    def write() -> None:
        with old.app_context():
            while not stop.is_set():
                try:
                    record.record(reports)
                    rounds.append(1)
                except Exception as error:
                    failures.append(error)

    writer = threading.Thread(target=write)
    with db.engine.connect() as reader:
        reader.execute(text("SELECT FROM status_event"))
        timer = threading.Timer(1.5, reader.rollback)
        writer.start()
        timer.start()
        try:
            upgrade()
        finally:
            stop.set()
            writer.join()
            timer.join()
    assert failures == []
    assert identities() == {report.identity: len(rounds) - 1 for report in reports}
