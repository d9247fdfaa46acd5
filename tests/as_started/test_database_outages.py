"""A database that hangs or is locked: callbacks and probes are answered all the same."""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests
from sqlalchemy import make_url

from bench.callbacks import BASE_URL, Signed, callbacks, sent, wire
from bench.waybill import fill
from demo.servers import postgres_server
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, Installation, until
from tests.as_started.load import burst
from tests.conftest import make_database
from tests.proxy import Proxy, proxy_to

POSTS = 12
SOON = 3.0  # seconds for a callback; the outage lasts longer
OUTAGE = 9.0
PROBE = 1.0

Answers = list["Future[requests.Response]"]


@pytest.fixture
def postgres() -> Iterator[tuple[str, Proxy]]:
    """A database on a server of its own, behind a proxy: its URL and the proxy."""
    path = Path(tempfile.mkdtemp(prefix="waybill-pg-"))
    with postgres_server(path) as server, proxy_to(str(path / ".s.PGSQL.5432")) as forwarder:
        url = make_url(make_database(server.get_uri(), "hanging"))
        url = url.set(host="127.0.0.1", port=forwarder.port, query={})
        yield url.render_as_string(hide_password=False), forwarder
    shutil.rmtree(path, ignore_errors=True)


def post_all(waybill: Installation, client: Client) -> tuple[ThreadPoolExecutor, Answers]:
    """Post a dozen messages at the same time, in the background."""
    threads = ThreadPoolExecutor(POSTS)

    def post(number: int) -> requests.Response:
        headers = {**client.headers, "Idempotency-Key": f"outage-{number}"}
        message = {"to": "+14155552671", "body": f"Number {number}"}
        url = f"{waybill.url}/v1/messages"
        return requests.post(url, json=message, headers=headers, timeout=60)

    return threads, [threads.submit(post, number) for number in range(POSTS)]


def call_back(waybill: Installation, callback: Signed) -> float:
    """Send a callback; return after how many seconds it was answered with 204."""
    result = burst(waybill.url, [wire(callback)], connections=1)
    assert result.statuses[204] == 1
    return result.seconds


def probe(waybill: Installation, path: str) -> float:
    began = time.monotonic()
    answer = requests.get(waybill.url + path, timeout=10)
    assert answer.status_code == 200
    return time.monotonic() - began


def assert_answers_during(
    waybill: Installation, outage: Callable[[], object], repair: Callable[[], object]
) -> None:
    """Let the database fail under a dozen posts; callbacks and probes go on."""
    client, messages = Client(waybill), sent(1)
    fill(waybill, messages)
    [*statements] = callbacks(messages)
    assert call_back(waybill, statements[0]) < SOON
    outage()
    threads, answers = post_all(waybill, client)
    with threads:
        time.sleep(1)  # the posts have reached the server
        times = [call_back(waybill, statement) for statement in statements[1:]]
        probes = [probe(waybill, path) for path in ("/healthz", "/readyz") * 2]
        time.sleep(max(0.0, OUTAGE - 1 - sum(times) - sum(probes)))
        repair()
    assert max(times) < SOON
    assert max(probes) < PROBE
    statuses = {answer.result().status_code for answer in answers}
    assert statuses <= {202, 503}
    refused = [one.result() for one in answers if one.result().status_code == 503]
    assert all(int(one.headers["Retry-After"]) > 0 for one in refused)
    until(lambda: _all_accepted(waybill, client), 30)


def _all_accepted(waybill: Installation, client: Client) -> bool:
    threads, answers = post_all(waybill, client)
    with threads:
        return {answer.result().status_code for answer in answers} == {202}


@pytest.mark.parametrize("document", ["README.md", "docker-compose.yml"])
def test_callbacks_go_on_while_sqlite_is_locked(
    install: Install, place: Path, document: str
) -> None:
    waybill = install(document, PUBLIC_BASE_URL=BASE_URL)
    waybill.start("web")
    with closing(sqlite3.connect(place / "waybill.db", isolation_level=None)) as other:
        assert_answers_during(
            waybill,
            lambda: other.execute("BEGIN EXCLUSIVE"),
            lambda: other.execute("ROLLBACK"),
        )


@pytest.mark.parametrize("document", ["README.md", "docker-compose.yml"])
def test_callbacks_go_on_while_postgresql_hangs(
    install: Install, postgres: tuple[str, Proxy], document: str
) -> None:
    url, forwarder = postgres
    waybill = install(document, PUBLIC_BASE_URL=BASE_URL, DATABASE_URL=url)
    waybill.start("web")
    assert_answers_during(waybill, forwarder.hang, forwarder.resume)
