"""Limit the number of server threads for requests that need the database.

When the database hangs, such requests hold their threads; callbacks still need a free thread. The
limit wraps Flask inside the fast path of callbacks, so it costs callbacks nothing.
"""

import multiprocessing
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from click.exceptions import ClickException, Exit
from flask import Flask, current_app, request

from service.errors import Unavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# These do not wait for the database: callbacks in an unusual form, inbound messages, probes and
# scrapes.
_EXEMPT: Final = ("/callbacks/", "/inbound/", "/healthz", "/readyz", "/metrics")
# More requests than this would only wait for connections of the database pool.
_MAX_REQUESTS: Final = 64
# Seconds in which no request ends before the running requests count as stalled. A commit on a slow
# disk is faster, and so is a worker's batch that locks SQLite. A callback may wait this long once.
_STALL_TIMEOUT: Final = 0.5
# Seconds that a request waits for its turn: as long as for a connection to the database.
_WAIT_TIMEOUT: Final = 5.0
_UNKNOWN_THREADS: Final = 4
_REFUSED: Final = "waybill.refused"
_WAITING: Final = "waybill-waiting"


class ThreadLimit:
    """A WSGI callable that limits the number of concurrent requests.

    A request above the limit waits while other requests end: with four threads and many clients,
    most posts arrive while three others run. If no request ends in time, the waiting request is
    refused, and so is every later one until a request ends. Then a callback that is queued behind
    refused requests waits once, not once for each of them.
    """

    def __init__(self, inner: "WSGIApplication", limit: int) -> None:
        self._inner = inner
        self._free = limit
        self._changed = threading.Condition()
        self._ended_at = float("-inf")
        self._stalled = False

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Run a request within the limit, or mark it as refused for `_refuse`."""
        if environ["PATH_INFO"].startswith(_EXEMPT):
            return self._inner(environ, start)
        if not self._enter():
            environ[_REFUSED] = True
            return self._inner(environ, start)
        try:
            return self._inner(environ, start)
        finally:
            self._leave()

    def _enter(self) -> bool:
        arrived = monotonic()
        with self._changed:
            while not self._free:
                now = monotonic()
                remaining = max(arrived, self._ended_at) + _STALL_TIMEOUT - now
                if remaining <= 0 and not self._stalled:
                    self._stalled = True
                    self._changed.notify_all()
                if self._stalled or now - arrived >= _WAIT_TIMEOUT:
                    return False
                self._changed.wait(remaining)
            self._free -= 1
            return True

    def _leave(self) -> None:
        with self._changed:
            self._free += 1
            self._ended_at = monotonic()
            self._stalled = False
            self._changed.notify()


def init_app(app: Flask, limit: int | None) -> None:
    """Limit the requests of an application. Register this before hooks that use the database."""
    inner: Any = app.wsgi_app
    limit = limit or _all_but_one()
    app.wsgi_app = ThreadLimit(inner, limit)  # type: ignore[assignment, method-assign]
    limit_waiting(app, limit)
    app.before_request(_refuse)


def limit_waiting(app: Flask, limit: int) -> None:
    """Let a quarter of the requests wait for events; one thread at least never waits."""
    app.extensions[_WAITING] = threading.Semaphore(min(limit - 1, max(1, limit // 4)))


@contextmanager
def waiting() -> Iterator[bool]:
    """Keep the thread of a request that waits for an event; yield False if too many wait."""
    waiting: threading.Semaphore = current_app.extensions[_WAITING]
    free = waiting.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            waiting.release()


def _refuse() -> None:
    # Inside Flask, so that the refusal is counted and answered like other errors.
    if _REFUSED in request.environ:
        raise Unavailable("the server is overloaded: the database is slow; retry after 5 s")


def _all_but_one() -> int:
    threads = _server_threads()
    return min(_MAX_REQUESTS, max(1, threads - 1)) if threads else _MAX_REQUESTS


def _server_threads() -> int | None:
    """Return the number of threads of this granian worker; None under another server."""
    if multiprocessing.current_process().name != "granian-worker":
        return None
    from granian.cli import cli  # to read options and environment as granian does

    try:
        options = cli.make_context("granian", sys.argv[1:], auto_envvar_prefix="GRANIAN").params
    except (ClickException, Exit):
        return _UNKNOWN_THREADS  # granian was embedded in another program: set API_THREADS
    queue = options["backpressure"] or options["backlog"] // options["workers"]
    return int(options["blocking_threads"] or max(1, queue // 2))
