"""Transactions and single writes."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from service.database import db, single_write, transaction
from service.models import Client
from service.queries.dialect import is_postgresql

pytestmark = pytest.mark.usefixtures("context")


def _add(*names: str) -> None:
    now = datetime.now(UTC)
    rows = [{"name": name, "test": False, "created_at": now} for name in names]
    db.session.execute(db.insert(Client).values(rows))


def _roll_back() -> None:
    with transaction():
        _add("two")
        raise ZeroDivisionError


def _committed() -> int:
    with db.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Client)) or 0


def test_single_write_is_committed() -> None:
    with single_write():
        _add("one", "two")
    assert _committed() == 2


def test_failed_single_write_writes_nothing() -> None:
    with pytest.raises(IntegrityError), single_write():
        _add("same", "same")
    assert _committed() == 0


def test_single_write_commits_itself_on_postgresql() -> None:
    if not is_postgresql():
        pytest.skip("on SQLite a single write is a transaction")
    with single_write():
        _add("one")
        assert _committed() == 1


def test_transaction_after_single_write_can_roll_back() -> None:
    with single_write():
        _add("one")
    with pytest.raises(ZeroDivisionError):
        _roll_back()
    assert _committed() == 1
