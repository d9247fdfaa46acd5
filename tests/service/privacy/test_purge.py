"""Purging deletes old rows in short transactions, and nothing that is under way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import UniqueConstraint, func, select, update

from service.database import batches, db, transaction
from service.domain.report import Source
from service.domain.scope import HoldKind, Scope
from service.holds.key import Key
from service.models import Attempt, DeadLetter, Hold, Message, StatusEvent
from service.operations import audit
from service.privacy import purge
from service.queries import holds
from service.recording import record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

Configure = Callable[..., None]
# Days: every row of a test is older.
MINIMUM_AGE = 1e-9


def count(model: type[Any]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
def ended(post: Post, provider: FakeProvider) -> UUID:
    message_id = post(idempotency_key="k")
    deliver.deliver()
    [attempt] = db.session.scalars(select(Attempt.id))
    record.record([said("delivered", attempt_id=attempt, source=Source.CALLBACK)])
    return message_id


def test_purge_deletes_message_with_attempts_and_ledger(ended: UUID, configure: Configure) -> None:
    configure(keep_messages=MINIMUM_AGE)
    assert purge.delete_old() == 1
    assert [count(model) for model in (Message, Attempt, StatusEvent)] == [0, 0, 0]
    assert all(finding.holds for finding in audit.audit())


def test_purge_deletes_ended_holds_only(context: Flask, configure: Configure) -> None:
    configure(keep_messages=MINIMUM_AGE)
    now = datetime.now(UTC)
    with transaction():
        for account, ended_at in (("old", now), ("active", None)):
            key = Key(Scope.ACCOUNT, "twilio", account)
            columns = {"ended_at": ended_at, "released_at": ended_at}
            holds.open_hold(key, HoldKind.BLOCKED, "20005", "", now, **columns)
    assert purge.delete_old() == 1
    assert db.session.scalars(select(Hold.account)).all() == ["active"]


@pytest.mark.parametrize("days", [None, 1.0])
def test_young_message_is_kept(ended: UUID, configure: Configure, days: float | None) -> None:
    configure(keep_messages=days)
    assert purge.delete_old() == 0
    assert count(Message) == 1


def test_message_under_way_is_kept(
    post: Post, provider: FakeProvider, configure: Configure
) -> None:
    configure(keep_messages=MINIMUM_AGE)
    post()
    deliver.deliver()
    post()
    assert purge.delete_old() == 0


def test_message_with_unknown_outcome_is_purged(
    post: Post, provider: FakeProvider, configure: Configure
) -> None:
    """Some carriers never report more than `sent`."""
    configure(keep_messages=MINIMUM_AGE)
    post()
    deliver.deliver()
    with transaction():
        db.session.execute(update(Message).values(unknown_since=datetime.now(UTC)))
    assert purge.delete_old() == 1


def test_callback_after_purge_is_an_orphan(ended: UUID, configure: Configure) -> None:
    configure(keep_messages=MINIMUM_AGE)
    [attempt] = db.session.scalars(select(Attempt.id))
    purge.delete_old()
    record.record([said("read", attempt_id=attempt, sid="SM1")])
    [orphan] = db.session.scalars(select(StatusEvent))
    assert orphan.message_id is None


def orphan(days: float) -> None:
    at = datetime.now(UTC) - timedelta(days=days)
    record.record([said("sent", sid=f"SM{days}", at=at)])


def dead_letter(days: float) -> None:
    at = datetime.now(UTC) - timedelta(days=days)
    with transaction():
        db.session.add(
            DeadLetter(
                provider="twilio", attempt="", body=b"x", received_at=at, error="e", set_aside_at=at
            )
        )


def test_orphans_and_dead_letters_are_purged_by_age(ended: UUID, configure: Configure) -> None:
    configure(keep_orphans=7.0)
    for days in (9, 8, 6):
        orphan(days)
        dead_letter(days)
    before = count(StatusEvent)
    assert purge.delete_old() == 4
    assert (count(StatusEvent), count(DeadLetter)) == (before - 2, 1)
    assert count(Message) == 1


def test_orphans_are_kept_without_the_setting(context: Flask, configure: Configure) -> None:
    configure(keep_orphans=None)
    orphan(4000)
    dead_letter(4000)
    assert purge.delete_old() == 0


def test_purge_runs_in_batches(
    context: Flask, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(keep_orphans=7.0)
    for module in (purge, batches):
        monkeypatch.setattr(module, "BATCH", 2)
    for days in (14, 13, 12, 11, 10, 1):
        orphan(days)
    assert purge.delete_old() == 5
    assert count(StatusEvent) == 1


def test_purge_skips_locked_messages(ended: UUID, configure: Configure) -> None:
    if db.engine.dialect.name != "postgresql":
        pytest.skip("SQLite locks the whole file")
    configure(keep_messages=MINIMUM_AGE)
    with db.engine.begin() as other:
        other.execute(select(Message.id).with_for_update())
        assert purge.delete_old() == 0
    assert purge.delete_old() == 1


def test_foreign_keys_to_purged_tables_are_indexed(context: Flask) -> None:
    """Each foreign key to a purged table is the first column of an index."""
    keys = [
        (table.name, key.parent.name)
        for table in db.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in ("message", "attempt")
    ]
    assert keys == [("attempt", "message_id")]
    for name, column in keys:
        table = db.metadata.tables[name]
        indexed = [next(iter(index.columns)).name for index in table.indexes]
        unique = [
            next(iter(constraint.columns)).name
            for constraint in table.constraints
            if isinstance(constraint, UniqueConstraint)
        ]
        assert column in indexed + unique
