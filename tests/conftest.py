"""Fixtures with real SQLite, PostgreSQL and Redis. Only the provider is fake."""

import gc
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from hypothesis import settings as hypothesis_settings
from redis import Redis
from sqlalchemy import create_engine, event, text, update
from werkzeug.test import TestResponse

from demo.servers import postgres_server, redis_server
from service.app import create_app
from service.components import components
from service.config.settings import Settings
from service.database import db, schema, transaction
from service.models import Client
from service.queries.dialect import is_postgresql
from service.redis_client.connections import connect
from service.redis_client.url import parse_redis_url
from service.sending.accept import accept
from service.task_queue.wake_ups import WakeUps
from tests.cluster import stands
from tests.fakes import FakeProvider
from tests.messages import Post, draft
from tests.strategies import EPOCH

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "12345"
OPS_SECRET = "the secret of the installation of these tests"
BASE_URL = "https://sms.example.com"
_NO_FSYNC = "PRAGMA synchronous=OFF"
_TESTS = Path(__file__).parent
# Their cases on SQLite are left to `make test-slow`.
_ON_POSTGRESQL_FIRST = (
    *(_TESTS / "service" / name for name in ("web", "commands", "operations", "privacy")),
    *(_TESTS / "service" / name for name in ("reconciliation", "holds", "event_feed", "webhooks")),
    *(_TESTS / name for name in ("test_path.py", "test_migrations.py")),
)

hypothesis_settings.register_profile("repeatable", derandomize=True, deadline=None)
# For `make test`; `make test-slow` runs the same tests with all examples.
hypothesis_settings.register_profile(
    "quick", hypothesis_settings.get_profile("repeatable"), max_examples=30
)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `--stand NAME` run tests on Sentinel, a cluster or another stand, and `all` on each."""
    parser.addoption("--stand", choices=(*stands.NAMES, "all"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses the stores on the chosen stands."""
    name = metafunc.config.getoption("--stand")
    if name and "stores" in metafunc.fixturenames:
        names = stands.NAMES if name == "all" else (name,)
        metafunc.parametrize("stores", names, indirect=True, scope="session")


def pytest_collection() -> None:
    """Collect no garbage: each pass over seven thousand tests takes up to half a second."""
    gc.disable()


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave routes, commands and sweeps on SQLite to `make test-slow`: a quarter of the time.

    What they use, from accepting to recording, is tested on both databases each time.
    """
    for item in items:
        if "[sqlite" in item.nodeid and any(map(item.path.is_relative_to, _ON_POSTGRESQL_FIRST)):
            item.add_marker(pytest.mark.slow)
        # The stands have no SQLite.
        if isinstance(item, pytest.Function) and "sqlite" not in item.name:
            _mark_for_stand(item)


def _mark_for_stand(item: pytest.Function) -> None:
    """Mark a test that runs on a stand; one process runs all tests of that stand."""
    if name := hasattr(item, "callspec") and item.callspec.params.get("stores"):
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.xdist_group(name))


def pytest_collection_finish() -> None:
    """Collect garbage again, but leave out all tests and modules, which stay until the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """A directory with a short path: Unix sockets have a length limit."""
    path = Path(tempfile.mkdtemp(prefix="waybill-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def stores(request: pytest.FixtureRequest) -> Iterator[Mapping[str, str]]:
    """The settings of the stores of a stand, where they differ from one server; see `--stand`."""
    if not hasattr(request, "param"):
        yield {}
        return
    with stands.run_stand(request.param) as settings:
        yield settings


@pytest.fixture(scope="session")
def redis_url(directory: Path, stores: Mapping[str, str]) -> Iterator[str]:
    if url := stores.get("REDIS_URL"):
        yield url
        return
    # No fsync: with a busy disk it takes longer than the time-out of the inbox.
    with redis_server(directory / "redis", fsync="no") as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # As root the server runs as another user, which needs access to this directory.
    path = Path(tempfile.mkdtemp(prefix="waybill-pg-"))
    with postgres_server(path) as server:
        _turn_fsync_off(server.get_uri())
        yield server.get_uri()
    shutil.rmtree(path, ignore_errors=True)


def _turn_fsync_off(url: str) -> None:
    """Save the waits of some ten thousand commits: no test needs data to survive a power cut."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, directory: Path, stores: Mapping[str, str]) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{directory}/waybill.db"
    if url := stores.get("DATABASE_URL"):
        return url
    url: str = request.getfixturevalue("postgres_url")
    return url


# Settings of Sinch in tests.
SINCH = {
    "SINCH_SERVICE_PLAN_ID": "plan",
    "SINCH_API_TOKEN": "sinch-api-token",
    "SINCH_PHONE_NUMBER": "+447700900001",
    "SINCH_CALLBACK_SECRETS": "SMSWebhooksSecret,next-secret",
}


def make_settings(database_url: str, redis_url: str, **changes: Any) -> Settings:
    values = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PUBLIC_BASE_URL": BASE_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_PHONE_NUMBER": "+15005550006",
        "OPS_SECRET": OPS_SECRET,
    }
    return Settings.load({**values, **changes})


@pytest.fixture(scope="session")
def bound_app(database_url: str, redis_url: str, stores: Mapping[str, str]) -> Iterator[Flask]:
    """One application per database, migrated as in production."""
    settings = make_settings(database_url, redis_url, **stores)
    app = create_app(settings, providers={"twilio": FakeProvider()})
    schema.prepare(app)
    with app.app_context():
        if not is_postgresql():  # as in `_turn_fsync_off`
            for engine in db.engines.values():
                event.listen(engine, "connect", lambda driver, _: driver.execute(_NO_FSYNC))
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(autouse=True)
def no_pending_wake_ups() -> Iterator[None]:
    """Wait for the wake-ups that a test requested: the next expects empty queues."""
    requested, request = set[WakeUps](), WakeUps.request

    def noting(wake_ups: WakeUps) -> None:
        requested.add(wake_ups)
        request(wake_ups)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("service.task_queue.wake_ups.INTERVAL", 0.005)
        patched.setattr(WakeUps, "request", noting)
        yield
        for wake_ups in requested:
            answered = threading.Event()
            with pytest.MonkeyPatch.context() as answering:
                answering.setattr(wake_ups, "_wake", lambda: answered.set() or True)  # noqa: B023
                request(wake_ups)
                answered.wait(10)


@pytest.fixture(scope="session")
def shared_redis(redis_url: str) -> Iterator[Redis]:
    """One client for all tests: each new one reads the version from the library's package."""
    redis = connect(parse_redis_url(redis_url), 10)
    yield redis
    redis.close()


def _delete_all_rows() -> None:
    deletes = [f"DELETE FROM {table.name}" for table in reversed(db.metadata.sorted_tables)]
    if is_postgresql():  # in one round trip
        deletes = [f"DO $$ BEGIN {'; '.join(deletes)}; END $$"]
    with db.engine.begin() as connection:
        for statement in deletes:
            connection.exec_driver_sql(statement)


@pytest.fixture
def app(bound_app: Flask, shared_redis: Redis) -> Flask:
    """The application with an empty database, an empty Redis and a new fake provider."""
    with bound_app.app_context():
        _delete_all_rows()
        fake = components().providers["twilio"]
        assert isinstance(fake, FakeProvider)
        fake.script = fake.answer = fake.listing = None
        fake.on_air.clear()
    shared_redis.flushdb()
    return bound_app


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    """An application context, as in a task."""
    with app.app_context():
        yield app


@pytest.fixture
def configure(context: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change settings for one test."""

    def change(**settings: Any) -> None:
        bound = context.extensions["waybill"]
        changed = bound.settings.model_copy(update=settings)
        monkeypatch.setitem(context.extensions, "waybill", replace(bound, settings=changed))

    return change


@pytest.fixture
def provider(app: Flask) -> FakeProvider:
    with app.app_context():
        fake = components().providers["twilio"]
    assert isinstance(fake, FakeProvider)
    return fake


@pytest.fixture
def key(app: Flask) -> str:
    """An API key of a client."""
    return make_key(app, "billing")


def make_key(app: Flask, name: str) -> str:
    result = app.test_cli_runner().invoke(args=["clients", "create", name])
    assert result.exit_code == 0, result.output
    return result.output.strip()


@pytest.fixture
def events_told(request: pytest.FixtureRequest, context: Flask) -> None:
    """Write events of the clients that the other fixtures create, as if they had asked for them."""
    for name in {"web", "client_id", "post", "key", "other"} & set(request.fixturenames):
        request.getfixturevalue(name)
    told = update(Client).values(events_since=EPOCH, events_complete=True)
    with transaction():
        db.session.execute(told)


class OwnContext(FlaskClient):
    """A client whose requests have a context of their own, and so a database session.

    In the context of a test they share its session: a transaction that one request leaves open
    hides from the next what was committed in between.
    """

    def open(self, *args: Any, **options: Any) -> TestResponse:
        return Context().run(super().open, *args, **options)


@pytest.fixture
def web(app: Flask, key: str) -> FlaskClient:
    """A client of the API, with its key."""
    client = OwnContext(app, app.response_class)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def client_id(context: Flask) -> int:
    client = Client(name="payments", created_at=EPOCH)
    db.session.add(client)
    db.session.commit()
    return client.id


@pytest.fixture
def post(client_id: int) -> Post:
    """Accept a message; return its id."""

    def posted(**changes: Any) -> UUID:
        [accepted] = accept(client_id, [draft(**changes)])
        return accepted.message.id

    return posted


def make_database(postgres_url: str, name: str) -> str:
    """Create another database on the same server; return its URL."""
    engine = create_engine(
        postgres_url.replace("postgresql://", "postgresql+psycopg://"),
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return postgres_url.replace("/postgres?", f"/{name}?")
