"""An application over a PostgreSQL primary with a real standby, and what each of them gets."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Connection, event

from service.app import create_app
from service.database import REPLICA, db, replica, schema
from tests.cluster.postgres import PostgresStand, postgres_stand
from tests.conftest import make_settings
from tests.fakes import FakeProvider
from tests.service.web.ops.conftest import operator, operator_key  # noqa: F401 - fixtures

RESET_TIMEOUT = 0.3


@pytest.fixture(scope="module")
def stand() -> Iterator[PostgresStand]:
    with (
        tempfile.TemporaryDirectory(prefix="waybill-replica-", ignore_cleanup_errors=True) as path,
        postgres_stand(Path(path)) as stand,
    ):
        yield stand


@pytest.fixture(scope="module")
def bound_app(stand: PostgresStand, redis_url: str) -> Iterator[Flask]:
    """An application that is migrated once for this module."""
    app = make_app(stand, redis_url)
    schema.prepare(app)
    with app.app_context():
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


def make_app(stand: PostgresStand, redis_url: str) -> Flask:
    settings = make_settings(stand.url, redis_url, DATABASE_READ_URL=stand.read_url)
    return create_app(settings, providers={"twilio": FakeProvider()})


@pytest.fixture
def app(bound_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application with an empty database, and closed circuit breakers."""
    monkeypatch.setattr(replica, "_RESET_TIMEOUT", RESET_TIMEOUT)
    replica.init_app(bound_app)
    with bound_app.app_context(), db.engine.begin() as connection:
        for table in reversed(db.metadata.sorted_tables):
            connection.execute(table.delete())
    return bound_app


class Statements(NamedTuple):
    """The statements that each database got."""

    primary: list[str]
    replica: list[str]


@pytest.fixture
def statements(app: Flask) -> Iterator[Statements]:
    seen = Statements([], [])
    with app.app_context():
        engines = (db.engine, seen.primary), (db.engines[REPLICA], seen.replica)
    listeners = [(engine, _note(list_)) for engine, list_ in engines]
    for engine, listener in listeners:
        event.listen(engine, "before_cursor_execute", listener)
    yield seen
    for engine, listener in listeners:
        event.remove(engine, "before_cursor_execute", listener)


def _note(statements: list[str]) -> Callable[..., None]:
    def note(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    return note


@contextmanager
def replay_paused(stand: PostgresStand) -> Iterator[None]:
    """Let the standby receive the log of the primary, but not replay it."""
    stand.standby.sql("SELECT pg_wal_replay_pause()")
    try:
        yield
    finally:
        stand.standby.sql("SELECT pg_wal_replay_resume()")
