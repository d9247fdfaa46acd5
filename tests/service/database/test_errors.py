"""Which errors pass, as the two databases really raise them."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from demo.servers import free_port
from service.database import db, is_postgresql
from service.database.errors import is_retryable, is_statement_timeout, is_transient


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
def test_a_bad_statement_does_not_pass(statement: str) -> None:
    error = raised(statement)
    assert not is_transient(error)
    assert not is_retryable(error)


@pytest.mark.usefixtures("context")
def test_too_many_variables_do_not_pass() -> None:
    mark = "%s" if is_postgresql() else "?"
    values = (1,) * 70_000 if is_postgresql() else (1,) * 260_000
    error = raised(f"SELECT 1 WHERE 1 IN ({','.join([mark] * len(values))})", values)
    assert isinstance(error, OperationalError)
    assert not is_transient(error)


@pytest.fixture
def postgresql(context: Flask) -> None:
    if not is_postgresql():
        pytest.skip("an error of PostgreSQL")


@pytest.mark.usefixtures("postgresql")
def test_a_data_error_does_not_pass() -> None:
    assert not is_transient(raised("SELECT 1/0"))


@pytest.mark.usefixtures("postgresql")
def test_a_statement_timeout_is_slow_and_does_not_pass() -> None:
    error = raised("SET LOCAL statement_timeout = 50; SELECT pg_sleep(5)")
    assert is_statement_timeout(error)
    assert is_retryable(error)
    assert not is_transient(error)


@pytest.mark.usefixtures("postgresql")
def test_a_lost_connection_passes() -> None:
    error = raised("SELECT pg_terminate_backend(pg_backend_pid())")
    assert is_transient(error)
    assert not is_statement_timeout(error)


@pytest.mark.usefixtures("postgresql")
def test_a_database_that_only_reads_passes() -> None:
    assert is_transient(raised("SET TRANSACTION READ ONLY; DELETE FROM overflow"))


@pytest.mark.usefixtures("postgresql")
@pytest.mark.parametrize(
    ("state", "passes"),
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
def test_the_state_decides_whether_an_error_passes(state: str, passes: bool) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
    assert is_transient(raised(raising)) is passes


def test_a_server_that_is_away_passes() -> None:
    engine = create_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(OperationalError) as caught:
        engine.connect()
    assert is_transient(caught.value)


@pytest.fixture
def locked_sqlite(tmp_path: Any) -> Iterator[Any]:
    """A connection that does not wait, to a file that another has locked."""
    holder = create_engine(f"sqlite:///{tmp_path}/locked.db")
    waiter = create_engine(f"sqlite:///{tmp_path}/locked.db", connect_args={"timeout": 0})
    with holder.connect() as one, waiter.connect() as other:
        one.exec_driver_sql("CREATE TABLE thing (id INTEGER)")
        one.exec_driver_sql("BEGIN EXCLUSIVE")
        yield other
    holder.dispose()
    waiter.dispose()


def test_a_locked_file_passes(locked_sqlite: Any) -> None:
    with pytest.raises(OperationalError) as caught:
        locked_sqlite.execute(text("INSERT INTO thing VALUES (1)"))
    assert is_transient(caught.value)


def test_an_exhausted_pool_passes() -> None:
    assert is_transient(PoolTimeout("QueuePool limit"))


@pytest.mark.parametrize("error", [ValueError("no"), SQLAlchemyError("no"), None])
def test_any_other_error_does_not_pass(error: Any) -> None:
    assert not is_transient(error)
