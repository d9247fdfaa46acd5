"""Bounds how many of the server's threads requests may hold that wait for the database.

Callbacks do not: they need a thread, and no database. Wrapped round Flask behind the callbacks' own
door, so that it costs a callback nothing.
"""

import multiprocessing
import sys
import threading
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from click.exceptions import ClickException, Exit
from flask import Flask, request

from service.errors import Unavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# These wait for no store: callbacks in an odd form, probes, and scrapes.
_EXEMPT: Final = ("/callbacks/", "/healthz", "/readyz", "/metrics")
# More threads than these would only wait for each other at the pool of the database.
_MOST: Final = 64
# Seconds without one request that ended, after which the requests inside are taken to hang. A
# commit on a slow disk takes less, and so does a batch of a worker that holds the lock of SQLite; a
# callback may have to wait so long, once.
_STALL: Final = 0.25
# Seconds that a request waits while others end, as for a connection to the database.
_PATIENCE: Final = 5.0
_FEW: Final = 4
_REFUSED: Final = "waybill.refused"


class ThreadLimit:
    """A WSGI callable that lets so many requests in at a time.

    With four threads and many connections that post, the fourth carries a post most of the time. So
    a request over the limit waits for its turn, as long as requests end. When none does, it is
    refused, and so are all that follow until one ends: a callback behind them waits once, not once
    for each.
    """

    def __init__(self, inner: "WSGIApplication", limit: int) -> None:
        self._inner = inner
        self._free = limit
        self._changed = threading.Condition()
        self._ended_at = float("-inf")
        self._stalled = False

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Pass a request on; mark one that is to be refused (`refuse`)."""
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
        came = monotonic()
        with self._changed:
            while not self._free:
                now = monotonic()
                left = max(came, self._ended_at) + _STALL - now
                if left <= 0 and not self._stalled:
                    self._stalled = True
                    self._changed.notify_all()
                if self._stalled or now - came >= _PATIENCE:
                    return False
                self._changed.wait(left)
            self._free -= 1
            return True

    def _leave(self) -> None:
        with self._changed:
            self._free += 1
            self._ended_at = monotonic()
            self._stalled = False
            self._changed.notify()


def init_app(app: Flask, limit: int | None) -> None:
    """Bound the requests of an application. Call this before any other hook waits for a store."""
    inner: Any = app.wsgi_app
    app.wsgi_app = ThreadLimit(inner, limit or _all_but_one())  # type: ignore[assignment, method-assign]
    app.before_request(_refuse)


def _refuse() -> None:
    # Within Flask, so that the answer is counted and looks as every other.
    if _REFUSED in request.environ:
        raise Unavailable("all threads wait for the database; try again")


def _all_but_one() -> int:
    threads = _server_threads()
    return min(_MOST, max(1, threads - 1)) if threads else _MOST


def _server_threads() -> int | None:
    """Return how many threads granian gives this process; None for another server."""
    if multiprocessing.current_process().name != "granian-worker":
        return None
    from granian.cli import cli  # read as granian itself reads its options and the environment

    try:
        options = cli.make_context("granian", sys.argv[1:], auto_envvar_prefix="GRANIAN").params
    except (ClickException, Exit):
        return _FEW  # another program started granian: API_THREADS has to be set
    queue = options["backpressure"] or options["backlog"] // options["workers"]
    return int(options["blocking_threads"] or max(1, queue // 2))
