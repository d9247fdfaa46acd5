"""Classification of errors, as the two databases raise them."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from demo.servers import free_port
from service.database import db
from service.database.errors import is_retryable, is_statement_timeout, is_transient
from service.queries.dialect import is_postgresql


def raised(statement: str, values: Any = None) -> DBAPIError:
    """Return what the database of the application raises for a statement."""
    with db.engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.exec_driver_sql(statement, values)
    return caught.value


DETERMINISTIC = {
    "undefined column": "SELECT nothing FROM message",
    "undefined table": "SELECT 1 FROM nothing",
    "syntax": "SELEC 1",
    "null": "INSERT INTO client (name) VALUES (NULL)",
}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("statement", DETERMINISTIC.values(), ids=DETERMINISTIC.keys())
def test_bad_statement_is_not_retryable(statement: str) -> None:
    error = raised(statement)
    assert not is_transient(error)
    assert not is_retryable(error)


@pytest.mark.usefixtures("context")
def test_too_many_variables_are_not_transient() -> None:
    mark = "%s" if is_postgresql() else "?"
    values = (1,) * 70_000 if is_postgresql() else (1,) * 260_000
    error = raised(f"SELECT 1 WHERE 1 IN ({','.join([mark] * len(values))})", values)
    assert isinstance(error, OperationalError)
    assert not is_transient(error)


@pytest.fixture
def postgresql(context: Flask) -> None:
    if not is_postgresql():
        pytest.skip("only PostgreSQL raises this error")


@pytest.mark.usefixtures("postgresql")
def test_data_error_is_not_transient() -> None:
    assert not is_transient(raised("SELECT 1/0"))


@pytest.mark.usefixtures("postgresql")
def test_statement_timeout_is_retryable_but_not_transient() -> None:
    error = raised("SET LOCAL statement_timeout = 50; SELECT pg_sleep(5)")
    assert is_statement_timeout(error)
    assert is_retryable(error)
    assert not is_transient(error)


@pytest.mark.usefixtures("postgresql")
def test_lost_connection_is_transient() -> None:
    error = raised("SELECT pg_terminate_backend(pg_backend_pid())")
    assert is_transient(error)
    assert not is_statement_timeout(error)


@pytest.mark.usefixtures("postgresql")
def test_read_only_database_is_transient() -> None:
    assert is_transient(raised("SET TRANSACTION READ ONLY; DELETE FROM overflow"))


@pytest.mark.usefixtures("postgresql")
@pytest.mark.parametrize(
    ("state", "transient"),
    [
        ("08006", True),
        ("0A000", True),
        ("22P02", False),
        ("23505", False),
        ("25006", True),
        ("26000", True),
        ("28P01", True),
        ("40001", True),
        ("40P01", True),
        ("42703", False),
        ("42P05", True),
        ("53100", True),
        ("53300", True),
        ("55P03", True),
        ("57014", False),
        ("57P01", True),
        ("57P03", True),
        ("XX000", False),
    ],
)
def test_sqlstate_decides_whether_error_is_transient(state: str, transient: bool) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
    assert is_transient(raised(raising)) is transient


def test_unreachable_server_is_transient() -> None:
    engine = create_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(OperationalError) as caught:
        engine.connect()
    assert is_transient(caught.value)


@pytest.fixture
def locked_sqlite(tmp_path: Any) -> Iterator[Any]:
    """A connection without a busy timeout to a locked file."""
    holder = create_engine(f"sqlite:///{tmp_path}/locked.db")
    waiter = create_engine(f"sqlite:///{tmp_path}/locked.db", connect_args={"timeout": 0})
    with holder.connect() as locking, waiter.connect() as waiting:
        locking.exec_driver_sql("CREATE TABLE thing (id INTEGER)")
        locking.exec_driver_sql("BEGIN EXCLUSIVE")
        yield waiting
    holder.dispose()
    waiter.dispose()


def test_locked_file_is_transient(locked_sqlite: Any) -> None:
    with pytest.raises(OperationalError) as caught:
        locked_sqlite.execute(text("INSERT INTO thing VALUES (1)"))
    assert is_transient(caught.value)


def test_exhausted_pool_is_transient() -> None:
    assert is_transient(PoolTimeout("QueuePool limit"))


@pytest.mark.parametrize("error", [ValueError("no"), SQLAlchemyError("no"), None])
def test_other_error_is_not_transient(error: Any) -> None:
    assert not is_transient(error)
