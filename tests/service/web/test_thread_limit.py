"""Requests that wait for the database never hold all threads of the server."""

import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event, Lock
from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask

from service.web import thread_limit
from service.web.thread_limit import ThreadLimit


class Inner:
    """An application whose requests hang until they are let go."""

    def __init__(self) -> None:
        self.go_on = Event()
        self.seconds = 0.0
        self.inside = self.most = 0
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], _start: object) -> Iterable[bytes]:
        if environ.get("waybill.refused"):
            return [b"refused"]
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        sleep(self.seconds)
        if environ["PATH_INFO"].startswith("/v1"):
            self.go_on.wait(10)
        with self._lock:
            self.inside -= 1
        return [b"answered"]


def ask(limited: Any, path: str = "/v1/messages") -> tuple[bytes, float]:
    began = monotonic()
    answer: list[bytes] = limited({"PATH_INFO": path}, None)
    return answer[0], monotonic() - began


def hang(pool: ThreadPoolExecutor, limited: Any, inner: Inner, count: int) -> list[Future[Any]]:
    requests = [pool.submit(ask, limited) for _ in range(count)]
    while inner.inside < count:
        sleep(0.001)
    return requests


def test_request_over_the_limit_is_refused_when_stalled() -> None:
    inner = Inner()
    limited: Any = ThreadLimit(inner, 3)
    with ThreadPoolExecutor(3) as pool:
        requests = hang(pool, limited, inner, 3)
        first, waited = ask(limited)
        assert (first, waited < 5) == (b"refused", True)
        began = monotonic()
        assert {ask(limited)[0] for _ in range(50)} == {b"refused"}
        assert monotonic() - began < 10, "all wait together, not one after the other"
        inner.go_on.set()
        assert {request.result()[0] for request in requests} == {b"answered"}
    assert ask(limited)[0] == b"answered", "as soon as one of them has ended"


@pytest.mark.parametrize(
    "path", ["/callbacks/twilio/1", "/inbound/twilio", "/healthz", "/readyz", "/metrics"]
)
def test_exempt_paths_pass_the_limit(path: str) -> None:
    inner = Inner()
    limited: Any = ThreadLimit(inner, 1)
    with ThreadPoolExecutor(1) as pool:
        hang(pool, limited, inner, 1)
        assert ask(limited, path)[0] == b"answered"
        inner.go_on.set()


def test_burst_waits_for_free_threads() -> None:
    """Sixty-four that come at once, each of which takes as long as a post does."""
    inner = Inner()
    inner.seconds = 0.005
    inner.go_on.set()
    limited: Any = ThreadLimit(inner, 3)
    start = Barrier(64)

    def post(_: int) -> bytes:
        start.wait()
        return ask(limited)[0]

    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(post, range(64))) == {b"answered"}
    assert inner.most == 3


def test_refused_request_gets_a_problem_document(app: Flask, key: str) -> None:
    refused = app.test_client().get(
        "/v1/messages",
        headers={"Authorization": f"Bearer {key}"},
        environ_overrides={"waybill.refused": True},
    )
    assert refused.status_code == 503
    assert refused.content_type == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["X-Request-ID"]


def test_refused_page_gets_a_page(app: Flask) -> None:
    refused = app.test_client().get("/ops/", environ_overrides={"waybill.refused": True})
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("command", "environment", "limit"),
    [
        ("--interface wsgi wsgi:app", {}, 64),
        ("--interface wsgi wsgi:app --workers 2 --blocking-threads 4", {}, 3),
        ("--interface wsgi wsgi:app", {"GRANIAN_BLOCKING_THREADS": "4"}, 3),
        ("--interface wsgi wsgi:app --backpressure 16", {}, 7),
        ("--interface wsgi wsgi:app --blocking-threads 1", {}, 1),
        ("--nothing-of-granian", {}, 3),
    ],
)
def test_limit_is_one_less_than_the_server_threads(
    monkeypatch: pytest.MonkeyPatch, command: str, environment: dict[str, str], limit: int
) -> None:
    monkeypatch.setattr("multiprocessing.current_process", lambda: type("P", (), NAMED))
    monkeypatch.setattr(sys, "argv", ["granian", *command.split()])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert thread_limit._all_but_one() == limit


NAMED = {"name": "granian-worker"}
