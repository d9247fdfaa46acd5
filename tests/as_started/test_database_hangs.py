"""The web server with a database or a Redis that hangs."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from statistics import median
from time import monotonic, sleep
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
import pytest
import requests
import sqlalchemy

from bench.callbacks import BASE_URL, signature
from demo.servers import RedisServer
from demo.stack import ACCOUNT
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, Installation, until
from tests.conftest import make_database
from tests.proxy import Proxy, proxy_to

pytestmark = pytest.mark.slow

TIMEOUT = 60
# Seconds: a request that waits for the database waits at least this long, even on a fast machine.
SHORTEST_WAIT = 2


class Web(NamedTuple):
    """A running web server, its client, and its database."""

    waybill: Installation
    client: Client
    database: str
    proxy: Proxy | None

    def post(self) -> int:
        answer = self.client.send(timeout=TIMEOUT)
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"] == "application/problem+json"
        return answer.status_code

    def call_back(self) -> tuple[int, float]:
        path = f"/callbacks/twilio/{uuid4()}"
        form = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "sent"}
        headers = {"X-Twilio-Signature": signature(BASE_URL + path, form)}
        return self._timed("POST", path, data=form, headers=headers)

    def probe(self, path: str) -> tuple[int, float]:
        return self._timed("GET", path)

    def _timed(self, method: str, path: str, **options: Any) -> tuple[int, float]:
        start = monotonic()
        answer = requests.request(method, self.waybill.url + path, timeout=TIMEOUT, **options)
        return answer.status_code, monotonic() - start


@pytest.fixture(params=["docker-compose.yml", "README.md"])
def document(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Start = Callable[[str], Web]


@pytest.fixture
def start(install: Install, postgres_url: str, document: str) -> Iterator[Start]:
    """Start the web server with a database of this kind; a proxy stands before PostgreSQL."""
    with ExitStack() as stack:

        def start(kind: str) -> Web:
            if kind == "sqlite":
                waybill, proxy = install(document, PUBLIC_BASE_URL=BASE_URL), None
                database = waybill.environment["DATABASE_URL"]
            else:
                name = f"hangs_{uuid4().hex[:8]}"
                database = make_database(postgres_url, name)
                socket = postgres_url.partition("?host=")[2] + "/.s.PGSQL.5432"
                proxy = stack.enter_context(proxy_to(socket))
                url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"
                waybill = install(document, PUBLIC_BASE_URL=BASE_URL, DATABASE_URL=url)
            client = Client(waybill)
            waybill.start("web")
            until(lambda: requests.get(f"{waybill.url}/readyz", timeout=5).ok, TIMEOUT)
            return Web(waybill, client, database, proxy)

        yield start


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


def twelve_posts(pool: ThreadPoolExecutor, web: Web) -> list[Future[int]]:
    posts = [pool.submit(web.post) for _ in range(12)]
    sleep(1)  # until all posts wait
    return posts


def assert_callbacks_and_probes(web: Web) -> None:
    """A stall of the machine may delay some answers, but not half of them."""
    durations = list[float]()
    for _ in range(5):
        status, seconds = web.call_back()
        assert status == 204
        durations.append(seconds)
        for path in ("/healthz", "/readyz"):
            status, seconds = web.probe(path)
            assert status == 200, path
            durations.append(seconds)
    assert median(durations) < 1, durations
    assert max(durations) < SHORTEST_WAIT, durations


def assert_not_ready_soon(web: Web) -> None:
    """The probe is cached for some seconds."""
    until(lambda: web.probe("/readyz")[0] == 503, TIMEOUT)
    assert web.probe("/healthz")[0] == 200


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_callbacks_and_probes_answer_with_a_locked_database(start: Start, kind: str) -> None:
    web = start(kind)
    with ThreadPoolExecutor(12) as pool:
        with locked(web):
            posts = twelve_posts(pool, web)
            assert_callbacks_and_probes(web)
        assert {post.result() for post in posts} <= {202, 503}
    assert web.post() == 202


def test_callbacks_and_probes_answer_with_a_hanging_database(start: Start) -> None:
    web = start("postgresql")
    assert web.proxy is not None
    with ThreadPoolExecutor(12) as pool:
        assert web.post() == 202
        web.proxy.hang()
        posts = twelve_posts(pool, web)
        assert_callbacks_and_probes(web)
        # Every wait ends, although no error reports that the database is gone.
        assert {post.result(timeout=TIMEOUT) for post in posts} == {503}
        assert_callbacks_and_probes(web)
        web.proxy.resume()
    until(lambda: web.post() == 202, TIMEOUT)


def test_callback_that_cannot_be_stored_is_refused_soon(start: Start, redis: RedisServer) -> None:
    web = start("postgresql")
    assert web.proxy is not None
    web.proxy.hang()
    redis.freeze()
    with ThreadPoolExecutor(24) as pool:
        posts = twelve_posts(pool, web)
        calls = [pool.submit(web.call_back) for _ in range(12)]
        assert_not_ready_soon(web)
        answers = [call.result() for call in calls]
        assert {status for status, _ in answers} == {503}
        assert max(seconds for _, seconds in answers) < 12  # providers wait for 15 s
        redis.thaw()
        web.proxy.resume()
        for post in posts:
            post.result()
    until(lambda: web.call_back()[0] == 204, TIMEOUT)


def test_burst_of_posts_waits_for_threads(start: Start) -> None:
    web = start("postgresql")
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: web.post(), range(300)))
    # A machine that stalls for a second refuses some; refusing all that wait refuses 9 of 10.
    assert set(answers) <= {202, 503}
    assert answers.count(202) >= 150


def test_overflow_takes_callbacks_while_posts_wait(start: Start, redis: RedisServer) -> None:
    """The overflow uses separate connections: requests of the API hold all others."""
    web = start("postgresql")
    redis.freeze()
    with ThreadPoolExecutor(12) as pool:
        with locked(web):
            posts = twelve_posts(pool, web)
            for _ in range(5):
                status, seconds = web.call_back()
                # A post waits for a connection for 5 s.
                assert (status, seconds < 5) == (204, True), seconds
        for post in posts:
            post.result()
    with psycopg.connect(web.database) as connection:
        assert connection.execute("SELECT count(*) FROM overflow").fetchone() == (5,)
    redis.thaw()
