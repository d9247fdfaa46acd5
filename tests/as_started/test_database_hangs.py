"""The web server, started as in production, beside a database or a Redis that hangs."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
import pytest
import requests
import sqlalchemy
import yaml
from flask_migrate import upgrade
from twilio.request_validator import RequestValidator

from demo.servers import RedisServer, free_port, redis_server
from service.app import create_app
from service.config.settings import Settings
from service.database import db, schema
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_database, make_key, make_settings
from tests.proxy import Proxy, proxy_to

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["web"]["command"]
README = re.search(r"^granian .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
assert README is not None
COMMANDS = {"compose": COMPOSE, "readme": README.group()}
PATIENCE = 60


class Web(NamedTuple):
    """A running web server, its stores, and an API key."""

    url: str
    key: str
    database: str
    proxy: Proxy | None
    redis: RedisServer

    def post(self) -> int:
        answer = requests.post(
            f"{self.url}/v1/messages",
            json={"to": "+14155552671", "body": "Hello"},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=PATIENCE,
        )
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"] == "application/problem+json"
        return answer.status_code

    def call_back(self) -> tuple[int, float]:
        path = f"/callbacks/twilio/{uuid4()}"
        form = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "sent"}
        made = RequestValidator(TOKEN).compute_signature(BASE_URL + path, form)
        headers = {
            "X-Twilio-Signature": made,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self._timed("POST", path, data=urlencode(form), headers=headers)

    def probe(self, path: str) -> tuple[int, float]:
        return self._timed("GET", path)

    def _timed(self, method: str, path: str, **options: Any) -> tuple[int, float]:
        began = monotonic()
        answer = requests.request(method, self.url + path, timeout=PATIENCE, **options)
        return answer.status_code, monotonic() - began


@contextmanager
def serving(command: str, database: str, redis: str, directory: Path) -> Iterator[str]:
    """Run the web server with one of the documented commands; yield its address."""
    port = free_port()
    program, *arguments = shlex.split(command)
    rest = [*arguments, "--host", "127.0.0.1", "--port", str(port)]
    clean = {**os.environ, **dict.fromkeys(map(str.upper, Settings.model_fields), "")}
    environment = {
        **clean,
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "PUBLIC_BASE_URL": BASE_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_PHONE_NUMBER": "+15005550006",
    }
    with (directory / "web.log").open("ab") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / program), *rest],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(url, process, directory / "web.log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _await_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = monotonic() + PATIENCE
    while process.poll() is None and monotonic() < until:
        try:
            if requests.get(f"{url}/readyz", timeout=5).json()["status"] == "ready":
                return
        except (requests.ConnectionError, ValueError):
            sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> str:
    return str(COMMANDS[request.param])


Started = Callable[[str], Web]


@pytest.fixture
def start(
    postgres_url: str, command: str, directory: Path, tmp_path: Path
) -> Iterator[Callable[[str], Web]]:
    """Start the web server over a database of this kind."""
    with ExitStack() as stack:

        def started(kind: str) -> Web:
            redis = stack.enter_context(redis_server(tmp_path / "redis", fsync="no"))
            proxy, url, near = None, f"sqlite:///{tmp_path}/waybill.db", ""
            if kind == "postgresql":
                name = f"hangs_{uuid4().hex[:8]}"
                near = make_database(postgres_url, name)
                socket = postgres_url.partition("?host=")[2] + "/.s.PGSQL.5432"
                proxy = stack.enter_context(proxy_to(socket))
                url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"
            app = create_app(make_settings(near or url, redis.url))
            schema.prepare(app)
            with app.app_context():
                upgrade()
                key = make_key(app, "billing")
                db.engine.dispose()
            address = stack.enter_context(serving(command, url, redis.url, tmp_path))
            return Web(address, key, near or url, proxy, redis)

        yield started


@contextmanager
def locked(web: Web) -> Iterator[None]:
    """Hold a lock that every post waits for."""
    if web.database.startswith("sqlite"):
        engine = sqlalchemy.create_engine(web.database)
        with engine.connect() as holder:
            holder.exec_driver_sql("BEGIN IMMEDIATE")
            yield
        engine.dispose()
        return
    with psycopg.connect(web.database) as holder:
        holder.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
        yield


def dozen(pool: ThreadPoolExecutor, web: Web) -> list[Future[int]]:
    posts = [pool.submit(web.post) for _ in range(12)]
    sleep(1)  # until they wait
    return posts


def assert_callbacks_and_probes(web: Web) -> None:
    for _ in range(5):
        status, seconds = web.call_back()
        assert (status, seconds < 1) == (204, True), seconds
        for path in ("/healthz", "/readyz"):
            status, seconds = web.probe(path)
            assert (status, seconds < 1) == (200, True), (path, seconds)


def assert_not_ready_soon(web: Web) -> None:
    """A probe shows what was seen last, which may be some seconds old."""
    until = monotonic() + 10
    while web.probe("/readyz")[0] != 503:
        assert monotonic() < until
    assert web.probe("/healthz")[0] == 200


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_callbacks_and_probes_answer_with_a_locked_database(start: Started, kind: str) -> None:
    web = start(kind)
    with ThreadPoolExecutor(12) as pool:
        with locked(web):
            posts = dozen(pool, web)
            assert_callbacks_and_probes(web)
        assert {post.result() for post in posts} <= {202, 503}
    assert web.post() == 202


def test_callbacks_and_probes_answer_with_a_hanging_database(start: Started) -> None:
    web = start("postgresql")
    assert web.proxy is not None
    with ThreadPoolExecutor(12) as pool:
        assert web.post() == 202
        web.proxy.hang()
        posts = dozen(pool, web)
        assert_callbacks_and_probes(web)
        # Every wait ends, although no error reports that the database is gone.
        assert {post.result(timeout=40) for post in posts} == {503}
        assert_callbacks_and_probes(web)
        web.proxy.resume()
    until = monotonic() + PATIENCE
    while web.post() != 202:
        assert monotonic() < until


@pytest.mark.slow
def test_callback_that_no_store_takes_is_refused_soon(start: Started) -> None:
    web = start("postgresql")
    assert web.proxy is not None
    web.proxy.hang()
    web.redis.freeze()
    with ThreadPoolExecutor(24) as pool:
        posts = dozen(pool, web)
        calls = [pool.submit(web.call_back) for _ in range(12)]
        assert_not_ready_soon(web)
        answers = [call.result() for call in calls]
        assert {status for status, _ in answers} == {503}
        assert max(seconds for _, seconds in answers) < 8
        web.redis.thaw()
        web.proxy.resume()
        for post in posts:
            post.result()
    until = monotonic() + PATIENCE
    while web.call_back()[0] != 204:
        assert monotonic() < until


@pytest.mark.slow
def test_a_burst_of_posts_is_not_refused(start: Started) -> None:
    web = start("postgresql")
    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(lambda _: web.post(), range(300))) == [202] * 300


@pytest.mark.slow
def test_overflow_takes_callbacks_while_posts_wait(start: Started) -> None:
    """The overflow uses separate connections: requests of the API hold all others."""
    web = start("postgresql")
    web.redis.freeze()
    with ThreadPoolExecutor(12) as pool:
        with locked(web):
            posts = dozen(pool, web)
            for _ in range(5):
                status, seconds = web.call_back()
                assert (status, seconds < 2) == (204, True), seconds
        for post in posts:
            post.result()
    with psycopg.connect(web.database) as connection:
        assert connection.execute("SELECT count(*) FROM overflow").fetchone() == (5,)
    web.redis.thaw()
