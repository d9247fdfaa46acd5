"""The migrations make the tables that the models describe, on both databases, both ways."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Inspector, inspect
from sqlalchemy.exc import IntegrityError

from service import migrating
from service.app import create_app
from service.domain.report import Source
from service.domain.status import Status
from service.extensions import db, transaction
from service.models import ApiKey, Client, Message, StatusEvent
from tests.conftest import make_database, make_key, make_settings
from tests.fakes import FakeProvider

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[Flask]:
    """An application over a database in which nothing was ever made."""
    url = f"sqlite:///{tmp_path_factory.mktemp('migrations')}/empty.db"
    if request.param == "postgresql":
        url = make_database(request.getfixturevalue("postgres_url"), "migrations")
    app = create_app(make_settings(url, redis_url), providers={"twilio": FakeProvider()})
    migrating.prepare(app)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def migrated(empty: Flask) -> Iterator[Flask]:
    """The application over a database as the migrations make it."""
    with empty.app_context():
        upgrade()
        yield empty
        db.session.remove()
        downgrade(revision="base")


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def named(kind: str, inspector: Inspector, table: str) -> list[str | None]:
    found: Any = getattr(inspector, f"get_{kind}")(table)
    return [one["name"] for one in ([found] if isinstance(found, dict) else found)]


def accept_a_message(app: Flask) -> None:
    headers = {"Authorization": f"Bearer {make_key(app, 'billing')}"}
    hello = {"to": "+14155552671", "body": "Hello"}
    assert app.test_client().post("/v1/messages", json=hello, headers=headers).status_code == 202


def event(identity: int, source: Source, status: Status | None) -> StatusEvent:
    return StatusEvent(
        identity=b"%032d" % identity,
        provider="twilio",
        source=source,
        word="word",
        status=status,
        received_at=NOW,
        raw={},
    )


def test_the_way_up_down_and_up_again_is_free(migrated: Flask) -> None:
    assert tables() == set(db.metadata.tables)

    downgrade(revision="base")
    assert tables() == set()

    upgrade()
    assert tables() == set(db.metadata.tables)


def test_servers_wait_for_the_last_migration(migrated: Flask) -> None:
    with db.engine.connect() as connection:
        assert migrating.found(connection) == migrating.WANTED

    downgrade(revision="0001")
    said = migrated.test_client().get("/readyz")
    assert said.status_code == 503
    assert said.json["parts"]["database"] == "not migrated (at 0001, wanted 0011)"
    upgrade()


def test_an_upgrade_that_is_run_twice_does_nothing(migrated: Flask) -> None:
    upgrade()

    assert tables() == set(db.metadata.tables)


def test_models_and_migrations_agree(migrated: Flask) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        difference = compare_metadata(context, db.metadata)

    assert difference == [], "the models changed: run make migration"


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


@pytest.mark.parametrize(
    "kind",
    ["indexes", "unique_constraints", "foreign_keys", "check_constraints", "pk_constraint"],
)
def test_everything_has_a_name_and_can_be_dropped_by_it(migrated: Flask, kind: str) -> None:
    inspector = inspect(db.engine)
    # SQLite writes the key of a table that never reuses a number into the column, without a name.
    unnamed = {"overflow", "dead_letter"} if kind == "pk_constraint" and _is_sqlite() else set()
    kept = sorted(tables() - unnamed)
    names = [name for table in kept for name in named(kind, inspector, table)]

    assert names
    assert all(names), names


def test_the_database_names_what_the_models_name(migrated: Flask) -> None:
    """PostgreSQL cuts names at 63 characters, and a name that was cut is found by nobody."""
    inspector = inspect(db.engine)
    for table in db.metadata.tables.values():
        modelled = {str(one.name) for one in (*table.constraints, *table.indexes)}
        kinds = ("indexes", "unique_constraints", "foreign_keys", "check_constraints")
        made = {name for kind in kinds for name in named(kind, inspector, table.name)}

        assert modelled - {f"pk_{table.name}"} <= made
        assert max(map(len, modelled)) <= 63


@pytest.mark.parametrize("status", Status)
def test_a_message_can_have_every_status(migrated: Flask, status: Status) -> None:
    accept_a_message(migrated)
    with transaction():
        db.session.execute(db.update(Message).values(status=status))

    assert db.session.scalars(db.select(Message.status)).all() == [status]


def test_every_status_from_every_source_can_be_written_down(migrated: Flask) -> None:
    said = [(source, status) for source in Source for status in (*Status, None)]
    with transaction():
        db.session.add_all(event(number, *words) for number, words in enumerate(said))

    events = db.session.scalars(db.select(StatusEvent).order_by(StatusEvent.identity)).all()
    assert [(one.source, one.status) for one in events] == said
    assert {one.received_at for one in events} == {NOW}


@pytest.mark.parametrize(
    ("table", "column"),
    [("message", "status"), ("status_event", "status"), ("status_event", "source")],
)
def test_no_other_word_can_be_stored(migrated: Flask, table: str, column: str) -> None:
    accept_a_message(migrated)
    with transaction():
        db.session.add(event(1, Source.API, Status.SENT))

    with pytest.raises(IntegrityError), db.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = 'teleported'")


def test_what_was_stored_before_a_migration_is_there_after_it(empty: Flask) -> None:
    """SQLite makes a table anew to alter it, also one that others refer to."""
    with empty.app_context():
        upgrade(revision="0001")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO client (id, name, created_at) VALUES (7, 'billing', '2026-11-21')"
            )
            connection.exec_driver_sql(
                "INSERT INTO api_key (id, client_id, hint, digest, created_at) "
                "VALUES (1, 7, 'wb_12345', '12345', '2026-11-21')"
            )
        upgrade()
        [client] = db.session.scalars(db.select(Client))
        [key] = db.session.scalars(db.select(ApiKey))
        assert (client.name, client.test, key.client_id) == ("billing", False, client.id)
        db.session.remove()
        downgrade(revision="base")


def test_no_message_belongs_to_nobody(migrated: Flask) -> None:
    accept_a_message(migrated)

    with pytest.raises(IntegrityError), transaction():
        db.session.execute(db.update(Message).values(client_id=99))
