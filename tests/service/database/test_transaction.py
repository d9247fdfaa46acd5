"""Units of work: one write that stands by itself, and transactions that do not learn from it."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from service.database import db, is_postgresql, single_write, transaction
from service.models import Client

pytestmark = pytest.mark.usefixtures("context")


def _add(*names: str) -> None:
    now = datetime.now(UTC)
    rows = [{"name": name, "test": False, "created_at": now} for name in names]
    db.session.execute(db.insert(Client).values(rows))


def _change_ones_mind() -> None:
    with transaction():
        _add("two")
        raise ZeroDivisionError


def _seen_elsewhere() -> int:
    with db.engine.connect() as another:
        return another.scalar(select(func.count()).select_from(Client)) or 0


def test_a_single_write_is_there_for_everybody_when_it_is_over() -> None:
    with single_write():
        _add("one", "two")
    assert _seen_elsewhere() == 2


def test_a_single_write_is_written_whole_or_not_at_all() -> None:
    with pytest.raises(IntegrityError), single_write():
        _add("same", "same")
    assert _seen_elsewhere() == 0


def test_postgresql_has_a_single_write_before_anybody_says_commit() -> None:
    if not is_postgresql():
        pytest.skip("on SQLite it is an ordinary transaction")
    with single_write():
        _add("one")
        assert _seen_elsewhere() == 1


def test_a_transaction_after_a_single_write_can_still_be_rolled_back() -> None:
    with single_write():
        _add("one")
    with pytest.raises(ZeroDivisionError):
        _change_ones_mind()
    assert _seen_elsewhere() == 1
