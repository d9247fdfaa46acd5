"""Liveness (`/healthz`) and readiness (`/readyz`) of a web process."""

import threading
import time
from collections.abc import Callable
from typing import Final

from flask import Blueprint, Flask, Response, current_app, jsonify

from service.components import Components
from service.database import OVERFLOW, db, schema

_NOT_MIGRATED: Final = "not migrated"
_EXTENSION: Final = "waybill-health"
# Seconds that a probe waits for all checks together.
_TIMEOUT: Final = 0.7
# Seconds for which the last result of a check is reported while the next check is slow.
_MAX_AGE: Final = 3.0

blueprint = Blueprint("health", __name__)


class _Check:
    """A check that runs in one thread at a time, so that a hanging part does not block probes."""

    def __init__(self, check: Callable[[], str]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._started = self._ended = float("-inf")
        self._result = ""

    def start(self) -> None:
        """Start the check in a thread, unless it is still running."""
        with self._lock:
            if not self._done.is_set():
                return
            self._started = time.monotonic()
            self._done.clear()
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def result(self, deadline: float) -> str:
        """Return the result of the check, waiting for it until the deadline."""
        now = time.monotonic()
        if self._done.wait(max(0.0, deadline - now)) or now - self._ended < _MAX_AGE:
            return self._result
        return f"unreachable (no answer for {time.monotonic() - self._started:.1f} s)"

    def _run(self) -> None:
        try:
            self._result = self._check()
        except Exception as error:
            # Only the type: the text of a driver's error contains addresses and user names.
            self._result = f"unreachable ({type(error).__name__})"
        finally:
            self._ended = time.monotonic()
            self._done.set()


def init_app(app: Flask) -> None:
    """Register the checks and routes."""
    bound: Components = app.extensions["waybill"]
    app.extensions[_EXTENSION] = {
        "database": _Check(lambda: _database(bound)),
        "redis": _Check(lambda: _redis(bound)),
    }
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer 200 while the process can serve requests."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Return the state of each part within a second: 200 if callbacks can be stored, else 503.

    Redis or the database is enough to store callbacks. With 503 for either of them, a load balancer
    would remove servers that still accept callbacks. A database that is not migrated gives 503.
    """
    checks: dict[str, _Check] = current_app.extensions[_EXTENSION]
    for check in checks.values():
        check.start()
    deadline = time.monotonic() + _TIMEOUT
    parts = {name: check.result(deadline) for name, check in checks.items()}
    failed = [result for result in parts.values() if result != "ok"]
    if len(failed) == len(parts) or parts["database"].startswith(_NOT_MIGRATED):
        return jsonify(status="not ready", parts=parts), 503
    return jsonify(status="degraded" if failed else "ready", parts=parts), 200


def _database(bound: Components) -> str:
    # Uses the connection pool of the overflow table: that of the API may be exhausted.
    with bound.context(), db.engines[OVERFLOW].connect() as connection:
        version = schema.revision(connection)
    expected = schema.HEAD
    return "ok" if version == expected else f"{_NOT_MIGRATED} (at {version}, wanted {expected})"


def _redis(bound: Components) -> str:
    bound.inbox.ping()
    return "ok"
