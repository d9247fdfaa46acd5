"""Time limits of connections to PostgreSQL, direct and through a pooler."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from service.app import create_app
from service.database import OVERFLOW, db, postgresql, schema, single_write, transaction
from service.database.errors import is_statement_timeout, is_transient
from service.domain.status import Status
from service.models import Client, Message
from service.recording import consume_inbox
from service.sending import deliver
from tests.conftest import make_database, make_key, make_settings
from tests.fakes import FakeProvider
from tests.pgbouncer import pgbouncer
from tests.proxy import Proxy, proxy_to
from tests.strategies import EPOCH

MakeApp = Callable[..., Flask]


@pytest.fixture(scope="module")
def server_url(postgres_url: str) -> str:
    return make_database(postgres_url, "limits")


@pytest.fixture(scope="module")
def pooled_url(postgres_url: str, server_url: str) -> Iterator[str]:
    with pgbouncer(postgres_url, "limits") as url:
        yield url


@pytest.fixture
def proxied(postgres_url: str, server_url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of the server, and the URL through it."""
    socket = postgres_url.partition("?host=")[2] + "/.s.PGSQL.5432"
    with proxy_to(socket) as proxy:
        yield proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}/limits"


@pytest.fixture
def make_app(redis_url: str) -> Iterator[MakeApp]:
    apps = list[Flask]()

    def make(url: str, **settings: str) -> Flask:
        app = create_app(
            make_settings(url, redis_url, **settings), providers={"twilio": FakeProvider()}
        )
        apps.append(app)
        return app

    yield make
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(params=["direct", "pooled"])
def app(request: pytest.FixtureRequest, make_app: MakeApp) -> Flask:
    """An application over the server, directly and through PgBouncer."""
    url = "server_url" if request.param == "direct" else "pooled_url"
    app: Flask = make_app(request.getfixturevalue(url))
    schema.prepare(app)
    with app.app_context():
        upgrade()
        with db.engine.begin() as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())
    return app


def settings_of(connection: Connection) -> dict[str, str]:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    return {name: connection.scalar(text(f"SHOW {name}")) for name in names}


TIMEOUTS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "1min",
}


def test_every_transaction_has_timeouts(app: Flask) -> None:
    with app.app_context():
        for _ in range(6):  # the pooler can give each another connection
            with transaction():
                assert settings_of(db.session.connection()) == TIMEOUTS
            with single_write():
                assert settings_of(db.session.connection()) == TIMEOUTS
        with db.engines[OVERFLOW].begin() as connection:
            assert settings_of(connection)["statement_timeout"] == "2s"


def test_timeouts_do_not_affect_other_pooler_clients(pooled_url: str, make_app: MakeApp) -> None:
    app = make_app(pooled_url)
    schema.prepare(app)
    with app.app_context():
        upgrade()
        with transaction():
            db.session.execute(select(1))
    with psycopg.connect(pooled_url, autocommit=True, prepare_threshold=None) as other:
        timeouts = {other.execute("SHOW statement_timeout").fetchone() for _ in range(10)}
    assert timeouts == {("0",)}


@pytest.mark.slow
def test_server_cancels_slow_statement(app: Flask) -> None:
    with app.app_context(), db.engines[OVERFLOW].connect() as connection:
        began = monotonic()
        with pytest.raises(OperationalError) as caught:
            connection.execute(text("SELECT pg_sleep(30)"))
        assert monotonic() - began < 10
        assert is_statement_timeout(caught.value)


def test_messages_are_sent_and_recorded(app: Flask) -> None:
    """More repetitions than psycopg needs to prepare a statement."""
    headers = {"Authorization": f"Bearer {make_key(app, 'billing')}"}

    def post(number: int) -> int:
        hello = {"to": "+14155552671", "body": f"Hello {number}"}
        return app.test_client().post("/v1/messages", json=hello, headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(post, range(40))) == {202}
    with app.app_context():
        while deliver.deliver():
            pass
        consume_inbox.consume_inbox()
        assert set(db.session.scalars(select(Message.status))) == {Status.QUEUED}


@pytest.mark.parametrize(("setting", "prepared"), [("", False), ("true", True), ("false", False)])
def test_pooled_statements_are_prepared_by_choice(
    make_app: MakeApp, pooled_url: str, setting: str, prepared: bool
) -> None:
    app = make_app(pooled_url, DATABASE_PREPARED_STATEMENTS=setting)
    assert _prepares(app) is prepared


@pytest.mark.parametrize(("setting", "prepared"), [("", True), ("false", False)])
def test_direct_statements_are_prepared_by_default(
    make_app: MakeApp, server_url: str, setting: str, prepared: bool
) -> None:
    app = make_app(server_url, DATABASE_PREPARED_STATEMENTS=setting)
    assert _prepares(app) is prepared


def _prepares(app: Flask) -> bool:
    with app.app_context(), db.engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        return driver.prepare_threshold is not None


@pytest.mark.slow
def test_statement_ends_when_server_stops_answering(
    proxied: tuple[Proxy, str], make_app: MakeApp
) -> None:
    """TCP does not notice, because the proxy confirms every byte."""
    proxy, url = proxied
    app = make_app(url)
    with app.app_context(), db.engines[OVERFLOW].connect() as connection:
        connection.execute(select(1))
        proxy.hang()
        began = monotonic()
        with pytest.raises(DBAPIError) as caught:
            connection.execute(select(2))
        assert 2 < monotonic() - began < 8
        assert is_transient(caught.value)
    proxy.resume()
    with app.app_context(), db.engines[OVERFLOW].connect() as connection:
        assert connection.scalar(select(3)) == 3, "the late answer was not read"


@pytest.mark.slow
def test_connecting_to_hanging_server_times_out(
    proxied: tuple[Proxy, str], make_app: MakeApp
) -> None:
    proxy, url = proxied
    app = make_app(url)
    proxy.hang()
    began = monotonic()
    with app.app_context(), pytest.raises(OperationalError) as caught:
        db.engine.connect()
    assert monotonic() - began < 8
    assert is_transient(caught.value)


def test_database_url_overrides_timeouts(server_url: str, make_app: MakeApp) -> None:
    app = make_app(server_url + "&keepalives_idle=7")
    with app.app_context(), db.engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        used = driver.info.get_parameters()
    assert used["keepalives_idle"] == "7"
    assert used["tcp_user_timeout"] == str(postgresql.CONNECT_DEFAULTS["tcp_user_timeout"])


def test_migration_has_no_timeouts(app: Flask) -> None:
    with (
        app.app_context(),
        db.engine.connect() as connection,
        postgresql.without_timeouts(connection),
        connection.begin(),
    ):
        assert set(settings_of(connection).values()) == {"0"}
    with app.app_context(), db.engine.begin() as connection:
        assert settings_of(connection) == TIMEOUTS


def test_lock_timeout_is_transient(app: Flask) -> None:
    with app.app_context():
        with transaction():
            db.session.add(Client(name="one", created_at=EPOCH))
        with db.engine.begin() as holder:
            holder.execute(select(Client).with_for_update())
            with db.engines[OVERFLOW].connect() as waiter, pytest.raises(DBAPIError) as caught:
                waiter.execute(select(Client).with_for_update())
    assert is_transient(caught.value)
