"""Liveness (`/healthz`) and readiness (`/readyz`) of a web process."""

import time
from typing import Final

from flask import Blueprint, Flask, Response, current_app, jsonify

from service.components import Components
from service.database import OVERFLOW, db, schema
from service.operations.background_read import BackgroundRead

_NOT_MIGRATED: Final = "not migrated"
_EXTENSION: Final = "waybill-health"
# Seconds that a probe waits for all checks together.
_TIMEOUT: Final = 0.7
# Seconds for which the last result of a check is reported while the next check is slow.
_MAX_AGE: Final = 3.0

blueprint = Blueprint("health", __name__)


def init_app(app: Flask) -> None:
    """Register the checks and routes."""
    bound: Components = app.extensions["waybill"]
    app.extensions[_EXTENSION] = {
        "database": BackgroundRead(lambda: _database(bound)),
        "redis": BackgroundRead(lambda: _redis(bound)),
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
    checks: dict[str, BackgroundRead[str]] = current_app.extensions[_EXTENSION]
    for check in checks.values():
        check.start()
    deadline = time.monotonic() + _TIMEOUT
    parts = {name: _result(check, deadline) for name, check in checks.items()}
    failed = [result for result in parts.values() if result != "ok"]
    if len(failed) == len(parts) or parts["database"].startswith(_NOT_MIGRATED):
        return jsonify(status="not ready", parts=parts), 503
    return jsonify(status="degraded" if failed else "ready", parts=parts), 200


def _result(check: BackgroundRead[str], deadline: float) -> str:
    if not check.wait(deadline) and time.monotonic() - check.ended_at >= _MAX_AGE:
        return f"unreachable (no answer for {time.monotonic() - check.began_at:.1f} s)"
    if error := check.error:
        # Only the type: the text of a driver's error contains addresses and user names.
        return f"unreachable ({type(error).__name__})"
    return check.value or ""


def _database(bound: Components) -> str:
    # Uses the connection pool of the overflow table: that of the API may be exhausted.
    with bound.context(), db.engines[OVERFLOW].connect() as connection:
        version = schema.revision(connection)
    expected = schema.HEAD
    return "ok" if version == expected else f"{_NOT_MIGRATED} (at {version}, wanted {expected})"


def _redis(bound: Components) -> str:
    bound.inbox.ping()
    return "ok"
