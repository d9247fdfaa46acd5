"""Reads of a replica: a PostgreSQL primary with a real standby."""

import threading
import time

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from service.database import REPLICA, db, replica, transaction
from service.database.replica import from_replica
from service.models import Client
from tests.cluster.postgres import PostgresStand
from tests.service.database.replica.conftest import RESET_TIMEOUT, Statements, replay_paused
from tests.strategies import EPOCH


@from_replica()
def names() -> set[str]:
    return set(db.session.scalars(select(Client.name)))


@from_replica(max_lag=60)
def names_of_the_last_minute() -> set[str]:
    return set(db.session.scalars(select(Client.name)))


def add_client(name: str) -> None:
    with transaction():
        db.session.add(Client(name=name, created_at=EPOCH))


def test_read_waits_until_replica_has_the_last_write(
    app: Flask, stand: PostgresStand, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "_LONGEST_WAIT", 10)
    with app.app_context():
        assert names() == set()
        with replay_paused(stand):
            add_client("new")
            waits = threading.Event()
            event.listen(db.engines[REPLICA], "rollback", lambda _: waits.set(), once=True)

            def resume() -> None:
                waits.wait(10)
                stand.standby.sql("SELECT pg_wal_replay_resume()")

            resuming = threading.Thread(target=resume)
            resuming.start()
            statements.primary.clear()
            assert names() == {"new"}
            resuming.join()
    assert not any("FROM client" in each for each in statements.primary)


def test_old_replica_is_not_read(app: Flask, stand: PostgresStand, statements: Statements) -> None:
    with app.app_context(), replay_paused(stand):
        add_client("new")
        assert names() == {"new"}
        statements.replica.clear()
        assert names() == {"new"}
    assert statements.replica == [], "the next reads do not wait again"


def test_figures_may_be_some_seconds_old(
    app: Flask, stand: PostgresStand, statements: Statements
) -> None:
    with app.app_context():
        add_client("old")
        stand.await_replay()
        with replay_paused(stand):
            add_client("new")
            assert names_of_the_last_minute() == {"old"}
            assert names() == {"old", "new"}
            assert names_of_the_last_minute() == {"old"}, "one tolerance does not close the other"


def test_replica_is_read_again_when_it_caught_up(
    app: Flask, stand: PostgresStand, statements: Statements
) -> None:
    with app.app_context():
        with replay_paused(stand):
            add_client("new")
            names()
        time.sleep(RESET_TIMEOUT)
        statements.primary.clear()
        assert names() == {"new"}
    assert not any("FROM client" in each for each in statements.primary)


def test_lag_is_measured(app: Flask, stand: PostgresStand) -> None:
    with app.app_context():
        add_client("old")
        stand.await_replay()
        assert replica.measure_lag() == 0
        with replay_paused(stand):
            add_client("new")
            lag = replica.measure_lag()
        assert lag is not None
        assert lag > 0.2


def test_reads_use_primary_while_replica_is_down(
    app: Flask, stand: PostgresStand, statements: Statements
) -> None:
    with app.app_context():
        add_client("new")
        assert names() == {"new"}
        stand.standby.kill()
        try:
            assert names() == {"new"}
            assert replica.measure_lag() is None
        finally:
            stand.standby.start()
        time.sleep(RESET_TIMEOUT)
        stand.await_replay()
        statements.primary.clear()
        assert names() == {"new"}
        assert replica.measure_lag() == 0
    assert not any("FROM client" in each for each in statements.primary)


@pytest.mark.slow
def test_reads_use_primary_while_replica_hangs(app: Flask, stand: PostgresStand) -> None:
    """A hanging server confirms every byte; only the time limit ends the read."""
    with app.app_context():
        add_client("new")
        assert names() == {"new"}
        stand.standby.freeze()
        try:
            began = time.monotonic()
            assert names() == {"new"}
            assert time.monotonic() - began < 10
        finally:
            stand.standby.thaw()


def test_read_that_fails_on_replica_starts_again_on_primary(
    app: Flask, stand: PostgresStand
) -> None:
    backends = list[int]()

    @from_replica()
    def read() -> set[str]:
        backends.append(db.session.scalars(text("SELECT pg_backend_pid()")).one())
        if len(backends) == 1:
            stand.standby.sql(f"SELECT pg_terminate_backend({backends[0]}, 5000)")
        return set(db.session.scalars(select(Client.name)))

    with app.app_context():
        add_client("new")
        assert read() == {"new"}
    assert len(backends) == 2


def test_write_inside_a_read_goes_to_primary(app: Flask, stand: PostgresStand) -> None:
    calls = list[str]()

    @from_replica()
    def read() -> set[str]:
        calls.append("read")
        add_client("new")
        return set(db.session.scalars(select(Client.name)))

    stand.await_replay()
    with app.app_context(), replay_paused(stand):
        assert read() == {"new"}
    assert calls == ["read"], "the write did not fail on the replica"


def test_error_of_a_read_does_not_close_the_replica(app: Flask, statements: Statements) -> None:
    @from_replica()
    def fails() -> None:
        raise ConnectionError("another server")

    with app.app_context():
        with pytest.raises(ConnectionError):
            fails()
        statements.replica.clear()
        names()
    assert statements.replica
