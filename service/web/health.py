"""Alive and ready: the process answers; its database and its Redis do too."""

import threading
import time
from collections.abc import Callable
from typing import Final

from flask import Blueprint, Flask, Response, current_app, jsonify

from service.components import Components
from service.database import OVERFLOW, db, schema

_NOT_MIGRATED: Final = "not migrated"
_EXTENSION: Final = "waybill-health"
# Seconds that a probe waits for all parts together, and for which the last outcome of a part
# stands while a slow machine looks again.
_PATIENCE: Final = 0.7
_FRESH: Final = 3.0

blueprint = Blueprint("health", __name__)


class _Check:
    """One part, looked at by one thread at a time: a part that hangs holds no probe."""

    def __init__(self, look: Callable[[], str]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._begun = self._ended = float("-inf")
        self._outcome = ""

    def begin(self) -> None:
        """Look again, unless a thread still does."""
        with self._lock:
            if not self._done.is_set():
                return
            self._begun = time.monotonic()
            self._done.clear()
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def outcome(self, until: float) -> str:
        """Return what was seen, after a wait until then."""
        now = time.monotonic()
        if self._done.wait(max(0.0, until - now)) or now - self._ended < _FRESH:
            return self._outcome
        return f"unreachable (no answer for {time.monotonic() - self._begun:.1f} s)"

    def _run(self) -> None:
        try:
            self._outcome = self._look()
        except Exception as error:
            # The type only: the text of a driver's error holds addresses and user names.
            self._outcome = f"unreachable ({type(error).__name__})"
        finally:
            self._ended = time.monotonic()
            self._done.set()


def init_app(app: Flask) -> None:
    """Register the routes."""
    bound: Components = app.extensions["waybill"]
    app.extensions[_EXTENSION] = {
        "database": _Check(lambda: _database(bound)),
        "redis": _Check(lambda: _redis(bound)),
    }
    app.register_blueprint(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer as long as the process can."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Say how each part is, within a second: 200 as long as callbacks can be stored, else 503.

    Either store is enough for that. To take a server out because Redis or the database is away
    would turn a degraded service into lost callbacks; one that is not migrated must not start.
    """
    checks: dict[str, _Check] = current_app.extensions[_EXTENSION]
    for check in checks.values():
        check.begin()
    until = time.monotonic() + _PATIENCE
    outcomes = {name: check.outcome(until) for name, check in checks.items()}
    away = [outcome for outcome in outcomes.values() if outcome != "ok"]
    if len(away) == len(outcomes) or outcomes["database"].startswith(_NOT_MIGRATED):
        return jsonify(status="not ready", parts=outcomes), 503
    return jsonify(status="degraded" if away else "ready", parts=outcomes), 200


def _database(bound: Components) -> str:
    # Over the connections of the overflow: those of the API may all be waiting.
    with bound.context(), db.engines[OVERFLOW].connect() as connection:
        found = schema.revision(connection)
    wanted = schema.HEAD
    return "ok" if found == wanted else f"{_NOT_MIGRATED} (at {found}, wanted {wanted})"


def _redis(bound: Components) -> str:
    bound.inbox.ping()
    return "ok"
