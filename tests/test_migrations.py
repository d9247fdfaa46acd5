"""The migrations create the tables of the models, on both databases, and can be reverted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Inspector, Uuid, bindparam, inspect, text
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from service.app import create_app
from service.database import db, schema, transaction
from service.database.schema import PARTITIONS
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.models import (
    ApiKey,
    Attempt,
    Client,
    ClientSender,
    DeadLetter,
    Event,
    InboundMessage,
    Message,
    OptOut,
    Overflow,
    StatusEvent,
)
from service.models.types import UtcDateTime
from service.queries.attempts import AttemptRef
from service.queries.dialect import is_postgresql
from service.recording.effects import LedgerEntry
from service.recording.rows import event_rows
from service.sending import idempotency
from tests.conftest import make_database, make_key, make_settings
from tests.fakes import FakeProvider

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[Flask]:
    """An application over an empty database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('migrations')}/empty.db"
    if request.param == "postgresql":
        url = make_database(request.getfixturevalue("postgres_url"), f"migrations_{uuid7().hex}")
    app = create_app(make_settings(url, redis_url), providers={"twilio": FakeProvider()})
    schema.prepare(app)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def migrated(empty: Flask) -> Iterator[Flask]:
    """The application over a database migrated for one test, which may migrate it again.

    Tests that only use the tables use `context`: its database is migrated once.
    """
    with empty.app_context():
        upgrade()
        yield empty
        db.session.remove()
        downgrade(revision="base")


def tables() -> set[str]:
    """Return the tables, without the partitions of the ledger."""
    names = inspect(db.engine).get_table_names()
    return {name for name in names if not name.startswith(PARTITIONS)} - {"alembic_version"}


def named(kind: str, inspector: Inspector, table: str) -> list[str | None]:
    items: Any = getattr(inspector, f"get_{kind}")(table)
    return [item["name"] for item in ([items] if isinstance(items, dict) else items)]


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


def test_upgrade_downgrade_upgrade(migrated: Flask) -> None:
    assert tables() == set(db.metadata.tables)

    downgrade(revision="base")
    assert tables() == set()

    upgrade()
    assert tables() == set(db.metadata.tables)


def test_readyz_fails_until_last_migration(migrated: Flask) -> None:
    with db.engine.connect() as connection:
        assert schema.revision(connection) == schema.HEAD

    downgrade(revision="0001")
    answer = migrated.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["parts"]["database"] == f"not migrated (at 0001, wanted {schema.HEAD})"
    upgrade()


def test_second_upgrade_does_nothing(migrated: Flask) -> None:
    upgrade()

    assert tables() == set(db.metadata.tables)


# PostgreSQL stores the expression of a computed column with casts.
@pytest.mark.filterwarnings("ignore:Computed default on message:UserWarning")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_models_and_migrations_agree(context: Flask) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": schema.include_name,
            },
        )
        difference = compare_metadata(context, db.metadata)

    assert difference == [], "the models changed: run make migration"


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


@pytest.mark.parametrize(
    "kind",
    ["indexes", "unique_constraints", "foreign_keys", "check_constraints", "pk_constraint"],
)
def test_every_constraint_has_a_name(context: Flask, kind: str) -> None:
    inspector = inspect(db.engine)
    unnamed = set[str]()
    if kind == "pk_constraint":
        # On SQLite the primary key of a table with AUTOINCREMENT has no name. On PostgreSQL
        # `status_event` has none: it would have to contain the key of the partitions.
        unnamed = {"dead_letter", "event", "overflow"} if _is_sqlite() else {"status_event"}
    with_names = sorted(tables() - unnamed)
    names = [name for table in with_names for name in named(kind, inspector, table)]

    assert names
    assert all(names), names


def test_names_in_database_are_those_of_models(context: Flask) -> None:
    """PostgreSQL truncates names at 63 characters."""
    inspector = inspect(db.engine)
    for table in db.metadata.tables.values():
        modelled = {str(item.name) for item in (*table.constraints, *table.indexes)}
        kinds = ("indexes", "unique_constraints", "foreign_keys", "check_constraints")
        existing = {name for kind in kinds for name in named(kind, inspector, table.name)}

        assert modelled - {f"pk_{table.name}"} <= existing
        assert max(map(len, modelled)) <= 63


@pytest.mark.parametrize("status", Status)
def test_message_can_have_every_status(context: Flask, status: Status) -> None:
    accept_a_message(context)
    with transaction():
        db.session.execute(db.update(Message).values(status=status))

    assert db.session.scalars(db.select(Message.status)).all() == [status]


def test_event_can_have_every_status_and_source(context: Flask) -> None:
    pairs = [(source, status) for source in Source for status in (*Status, None)]
    with transaction():
        db.session.add_all(event(number, *pair) for number, pair in enumerate(pairs))

    events = db.session.scalars(db.select(StatusEvent).order_by(StatusEvent.identity)).all()
    assert [(event.source, event.status) for event in events] == pairs
    assert {event.received_at for event in events} == {NOW}


@pytest.mark.parametrize(
    ("table", "column"),
    [("message", "status"), ("status_event", "status"), ("status_event", "source")],
)
def test_unknown_enum_value_is_refused(context: Flask, table: str, column: str) -> None:
    accept_a_message(context)
    with transaction():
        db.session.add(event(1, Source.API, Status.SENT))

    with pytest.raises(IntegrityError), db.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = 'teleported'")


def test_migrations_keep_clients_and_keys(empty: Flask) -> None:
    """SQLite recreates a table to alter it, also if foreign keys refer to it."""
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


def computed_columns() -> tuple[list[bool], list[str | None]]:
    query = db.select(Message.doubt_since, Message.listed_as).order_by(Message.status)
    rows = db.session.execute(query).all()
    db.session.remove()
    return [row[0] is not None for row in rows], [row[1] for row in rows]


def test_migration_computes_doubts_and_statuses(migrated: Flask) -> None:
    """For old messages, and for those that an old version writes during a rollout."""
    for _ in range(3):
        accept_a_message(migrated)
    ids = db.session.scalars(db.select(Message.id)).all()
    db.session.remove()
    downgrade(revision="0006")
    words = ("delivered", "in_doubt", "sent")
    ended = {"delivered": NOW}
    with db.engine.begin() as connection:
        for message_id, status in zip(ids, words, strict=True):
            connection.execute(
                text("UPDATE message SET status = :status, final_at = :ended WHERE id = :id"),
                {
                    "status": status,
                    "ended": ended.get(status),
                    "id": message_id if is_postgresql() else message_id.hex,
                },
            )
    upgrade()
    assert computed_columns() == (
        [False, True, False],
        ["delivered", "in_doubt", "open"],
    )
    with db.engine.begin() as connection:
        sql = "UPDATE message SET status = 'failed', final_at = :now WHERE status = 'in_doubt'"
        connection.execute(text(sql), {"now": NOW})
    assert computed_columns() == ([False] * 3, ["delivered", "failed", "open"])


def test_later_migration_keeps_computed_columns(migrated: Flask) -> None:
    """SQLite recreates the table to alter it, from its own definition."""
    accept_a_message(migrated)
    with db.engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("message") as batch:
            batch.alter_column("segments", new_column_name="parts")
        with operations.batch_alter_table("message") as batch:
            batch.alter_column("parts", new_column_name="segments")
    with transaction():
        db.session.execute(db.update(Message).values(status=Status.READ, final_at=NOW))
    assert computed_columns() == ([False], ["read"])


def test_messages_survive_the_deadline_migration_both_ways(empty: Flask) -> None:
    insert = (
        'INSERT INTO message (id, client_id, request_digest, "to", metadata, resend_if_unknown, '
        "provider, status, priority, attempts, lookups, failed_in, delivered_in, created_at, "
        "updated_at, due_at, validity_period, send_at) VALUES (:id, 7, :digest, '+14155552671', "
        "'{}', :no, 'twilio', :status, 1, 0, 0, 0, 0, :now, :now, :now, 60, :send_at)"
    )
    statement = text(insert).bindparams(
        bindparam("id", type_=Uuid()),
        *(bindparam(name, type_=UtcDateTime()) for name in ("now", "send_at")),
    )
    now = NOW.replace(microsecond=123_000)
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    with empty.app_context():
        upgrade(revision="0006")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO client (id, name, created_at) VALUES (7, 'billing', '2026-11-21')"
            )
            rows = [("pending", None), ("pending", now + hour), ("sent", None)]
            for number, (status, send_at) in enumerate(rows, start=1):
                values = {"digest": b"d" * 32, "no": False, "now": now, "send_at": send_at}
                connection.execute(statement, {**values, "id": UUID(int=number), "status": status})
        upgrade()
        messages = db.session.scalars(db.select(Message).order_by(Message.id)).all()
        deadlines = [message.expires_at for message in messages]
        assert deadlines[:2] == [now + minute, now + hour + minute]
        assert {message.request_digest for message in messages} == {None}
        with transaction():
            db.session.execute(db.update(Message).values(status=Status.EXPIRED))
        downgrade(revision="0006")
        with db.engine.begin() as connection:
            left = connection.exec_driver_sql("SELECT status FROM message").scalars().all()
            connection.exec_driver_sql("DELETE FROM message")
        assert left == ["failed"] * 3
        downgrade(revision="base")


def test_waiting_messages_get_a_deadline_in_the_migration(empty: Flask) -> None:
    insert = text(
        'INSERT INTO message (id, client_id, "to", metadata, resend_if_unknown, provider, status, '
        "priority, attempts, lookups, failed_in, delivered_in, created_at, updated_at, due_at, "
        "claimed_until, send_at) VALUES (:id, 7, '+14155552671', '{}', :no, 'twilio', :status, 1, "
        "0, 0, 0, 0, :now, :now, :due_at, :claimed_until, :send_at)"
    ).bindparams(
        bindparam("id", type_=Uuid()),
        *(
            bindparam(name, type_=UtcDateTime())
            for name in ("now", "due_at", "claimed_until", "send_at")
        ),
    )
    now = datetime.now(UTC)
    tomorrow, patience = now + timedelta(days=1), timedelta(hours=4)
    rows: list[dict[str, Any]] = [
        {"status": "pending", "due_at": now},
        {"status": "pending", "due_at": tomorrow, "send_at": tomorrow},
        {"status": "submitting", "claimed_until": now},
        {"status": "in_doubt"},
        {"status": "sent"},
    ]
    nothing = {"due_at": None, "claimed_until": None, "send_at": None}
    with empty.app_context():
        upgrade(revision="0012")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO client (id, name, created_at) VALUES (7, 'billing', '2026-11-21')"
            )
            for number, row in enumerate(rows, start=1):
                values = {"id": UUID(int=number), "now": now, "no": False, **nothing, **row}
                connection.execute(insert, values)
        upgrade()
        messages = db.session.scalars(db.select(Message).order_by(Message.id)).all()
        deadlines = [message.expires_at for message in messages]
        db.session.remove()
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM message")
        downgrade(revision="base")
    minute = timedelta(minutes=1)
    for deadline, begin in zip(deadlines, (now, tomorrow, now, now), strict=False):
        assert deadline is not None
        assert begin + patience <= deadline < begin + patience + minute
    assert deadlines[4] is None


def test_request_may_be_repeated_across_an_upgrade(empty: Flask) -> None:
    insert = text(
        'INSERT INTO message (id, client_id, idempotency_key, request_digest, "to", metadata, '
        "resend_if_unknown, provider, status, priority, attempts, lookups, failed_in, "
        "delivered_in, created_at, updated_at) VALUES (:id, 7, 'once', :digest, "
        "'+14155552671', '{}', :no, 'twilio', 'sent', 1, 0, 0, 0, 0, :now, :now)"
    ).bindparams(bindparam("id", type_=Uuid()), bindparam("now", type_=UtcDateTime()))
    with empty.app_context():
        upgrade(revision="0006")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO client (id, name, created_at) VALUES (7, 'billing', '2026-11-21')"
            )
            row = {"id": uuid7(), "digest": b"d" * 32, "no": False, "now": NOW}
            connection.execute(insert, row)
        upgrade()
        [message] = db.session.scalars(db.select(Message)).all()
        assert message.request_digest != b"d" * 32
        assert idempotency.matches(message.request_digest, b"d" * 32)
        db.session.remove()
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM message")
        downgrade(revision="base")


def test_migration_joins_opt_outs_over_rcs_and_sms(empty: Flask) -> None:
    """They are one opt-out, which START ends; an earlier START than the refusal does not."""
    people = ("rcs:+14155550001", "rcs:+14155550002", "+14155550002", "whatsapp:+14155550003")
    with empty.app_context():
        upgrade(revision="0014")
        with db.engine.begin() as connection:
            rows = [{"to": to, "sender": "+15005550006"} for to in people]
            connection.execute(_INSERT_OPT_OUT, rows)
        upgrade()
        opted_out = db.session.execute(db.select(OptOut.to, OptOut.refused_at == OptOut.since))
        assert {tuple(row) for row in opted_out} == {
            (to, True) for to in ("+14155550001", "+14155550002", "whatsapp:+14155550003")
        }
        db.session.remove()
        downgrade(revision="base")


def test_message_without_client_is_refused(context: Flask) -> None:
    accept_a_message(context)

    with pytest.raises(IntegrityError), transaction():
        db.session.execute(db.update(Message).values(client_id=99))


def test_migration_normalises_addresses(empty: Flask) -> None:
    """Also for more rows than one statement reads, and for opt-outs that become equal."""
    old = {"to": "WhatsApp:+1 415 555 2671", "sender": "whatsapp:+1 (500) 555-0006"}
    rows = [
        *[old] * 1001,
        {"to": "whatsapp:+5215512345678", "sender": "MG" + "0" * 32},
        {"to": "+14155552671", "sender": "+1 500 555 0006"},
        {"to": "forgotten:0123456789abcdef", "sender": "Acme Co"},
        {"to": "rcs:agent", "sender": None},
    ]
    with empty.app_context():
        upgrade(revision="0006")
        with db.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO client VALUES (7, 'billing', '2026-11-21', false)")
            )
            connection.execute(
                _INSERT_MESSAGE, [{**_OLD, **row, "id": uuid7().hex} for row in rows]
            )
            for to in (old["to"], "whatsapp:+14155552671", "+14155552671"):
                values = {"to": to, "sender": old["sender"]}
                connection.execute(_INSERT_OPT_OUT, values)
        upgrade()
        kept = db.session.execute(db.select(Message.to, Message.sender).order_by(Message.id)).all()
        opted_out = set(db.session.scalars(db.select(OptOut.to)))
        senders = set(db.session.scalars(db.select(OptOut.sender)))
        db.session.remove()
        downgrade(revision="base")
    one_spelling = ("whatsapp:+14155552671", "whatsapp:+15005550006")
    assert [tuple(row) for row in kept] == [
        *[one_spelling] * 1001,
        ("whatsapp:+525512345678", "MG" + "0" * 32),
        ("+14155552671", "+15005550006"),
        ("forgotten:0123456789abcdef", "Acme Co"),
        ("rcs:agent", None),
    ]
    assert opted_out == {"whatsapp:+14155552671", "+14155552671"}
    assert senders == {"whatsapp:+15005550006"}


def test_opt_outs_survive_the_inbound_migration_both_ways(empty: Flask) -> None:
    """Also those that an old version inserts while the new one already runs."""
    first, second = "+14155552671", "+14155552672"
    with empty.app_context():
        upgrade(revision="0014")
        insert_opt_out(first)
        upgrade()
        insert_opt_out(second)
        columns = (OptOut.to, OptOut.active, OptOut.reason, OptOut.changed_by, OptOut.error_code)
        rows = db.session.execute(db.select(*columns).order_by(OptOut.to)).all()
        assert [tuple(row) for row in rows] == [
            (to, True, "provider", "provider", "21610") for to in (first, second)
        ]
        with transaction():
            db.session.add_all(
                [
                    OptOut(
                        to=first, sender="*", provider="*", active=active, reason="client",
                        changed_by="client billing", error_code=code, since=NOW,
                    )
                    for first, active, code in (("a", True, None), ("b", False, "21610"))
                ]
            )  # fmt: skip
        db.session.remove()
        downgrade(revision="0014")
        with db.engine.connect() as connection:
            left = connection.exec_driver_sql('SELECT "to" FROM opt_out ORDER BY "to"').scalars()
            # The old version knows neither opt-outs without a code nor those that have ended.
            assert left.all() == [first, second]
        upgrade()
        assert len(db.session.scalars(db.select(OptOut.to)).all()) == 2
        db.session.remove()
        downgrade(revision="base")


def insert_opt_out(to: str) -> None:
    """Insert an opt-out as the version before inbound messages did."""
    with db.engine.begin() as connection:
        connection.execute(_INSERT_OPT_OUT, {"to": to, "sender": "+15005550006"})


def test_events_and_messages_survive_the_inbound_migration(migrated: Flask) -> None:
    """The old version shows events of inbound messages as events of deleted messages."""
    accept_a_message(migrated)
    client_id = db.session.scalars(db.select(Client.id)).one()
    message_id = db.session.scalars(db.select(Message.id)).one()
    received = uuid7()
    with transaction():
        base = {"transaction_id": 0, "client_id": client_id, "created_at": NOW}
        db.session.add_all(
            [
                Event(**base, type="message.updated", message_id=message_id),
                Event(**base, type="message.received", message_id=received),
                InboundMessage(
                    id=received, provider="twilio", account="default", provider_sid="SM1",
                    from_address="+14155552671", to_address="+15005550006", media=[], raw={},
                    client_id=client_id, received_at=NOW,
                ),
                ClientSender(sender="+15005550006", client_id=client_id, created_at=NOW),
            ]
        )  # fmt: skip
    downgrade(revision="0014")
    upgrade()
    assert db.session.scalars(db.select(Message.id)).all() == [message_id]
    told = db.session.scalars(db.select(Event.message_id).order_by(Event.id)).all()
    assert told == [message_id, received]
    assert db.session.scalars(db.select(InboundMessage.id)).all() == []


def ledger_row(report: StatusReport, owner: AttemptRef | None) -> dict[str, Any]:
    [row] = event_rows([LedgerEntry(report.identity, report, owner)])
    return row


def test_provider_is_renamed_to_sandbox_and_back(migrated: Flask) -> None:
    accept_a_message(migrated)
    message_id, attempt = db.session.scalars(db.select(Message.id)).one(), uuid7()
    base = StatusReport("sandbox", Source.CALLBACK, "sent", Status.SENT, NOW, segments=1)
    reports = [
        base._replace(attempt_id=attempt, provider_sid="test-0"),
        base._replace(attempt_id=attempt, error_code="30003", error_message="off"),
        base._replace(provider_sid="test-1"),
        base._replace(message_id=message_id, word="opted_out"),
    ]
    redacted = StatusEvent(**ledger_row(base, None) | {"identity": b"r" * 32})
    with transaction():
        db.session.execute(db.update(Message).values(provider="sandbox"))
        db.session.add_all(
            [
                redacted,
                event(1, Source.API, Status.SENT),
                *(StatusEvent(**ledger_row(report, owner_of(report))) for report in reports),
                Attempt(
                    id=attempt, message_id=message_id, number=1, provider="sandbox", started_at=NOW
                ),
                Overflow(provider="sandbox", attempt="", body=b"", received_at=NOW),
                DeadLetter(
                    provider="sandbox", attempt="", body=b"", received_at=NOW, error="",
                    set_aside_at=NOW,
                ),
                OptOut(to="", sender="", provider="sandbox", error_code="", since=NOW),
            ]
        )  # fmt: skip
    identities = event_identities()

    downgrade(revision="0010")
    assert stored_providers() == {"test", "twilio"}
    old = {report._replace(provider="test").identity for report in reports}
    assert event_identities() == old | {b"r" * 32, b"%032d" % 1}

    upgrade()
    assert stored_providers() == {"sandbox", "twilio"}
    assert event_identities() == identities


def owner_of(report: StatusReport) -> AttemptRef | None:
    if report.attempt_id is None and report.message_id is None:
        return None
    message_id = db.session.scalars(db.select(Message.id)).one()
    return AttemptRef(report.attempt_id, message_id, 1)


def stored_providers() -> set[str]:
    tables = (Message, Attempt, StatusEvent, OptOut, Overflow, DeadLetter)
    with db.engine.connect() as connection:
        return {name for table in tables for name in connection.scalars(db.select(table.provider))}


def event_identities() -> set[bytes]:
    with db.engine.connect() as connection:
        return set(connection.scalars(db.select(StatusEvent.identity)))


_OLD = {
    **{"client_id": 7, "request_digest": b"d" * 32, "metadata": "{}", "resend_if_unknown": False},
    **{"provider": "twilio", "status": "delivered", "attempts": 1, "lookups": 0, "failed_in": 0},
    **{"delivered_in": 1, "created_at": NOW, "updated_at": NOW},
}
_INSERT_MESSAGE = text(
    'INSERT INTO message (id, "to", sender, {}) VALUES (:id, :to, :sender, {})'.format(
        ", ".join(_OLD), ", ".join(f":{name}" for name in _OLD)
    )
)
_INSERT_OPT_OUT = text(
    'INSERT INTO opt_out ("to", sender, provider, error_code, since) '
    "VALUES (:to, :sender, 'twilio', '21610', '2026-11-21')"
)
