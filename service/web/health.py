"""Alive and ready: the process answers; its database and its Redis do too."""

from collections.abc import Callable

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify
from flask_migrate import Migrate

from service.extensions import db, parts

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer as long as the process can."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Answer 200 when every part answers, 503 otherwise; each part is named."""
    checks: dict[str, Callable[[], str]] = {
        "database": _database,
        "redis": _redis,
    }
    found = {name: _outcome(check) for name, check in checks.items()}
    fine = all(outcome == "ok" for outcome in found.values())
    return jsonify(status="ready" if fine else "not ready", parts=found), 200 if fine else 503


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:
        # The type only: the text of a driver's error holds addresses and user names.
        return f"unreachable ({type(error).__name__})"


def _database() -> str:
    bound: Migrate = current_app.extensions["migrate"].migrate
    wanted = ScriptDirectory.from_config(bound.get_config()).get_current_head()
    with db.engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return "ok" if found == wanted else f"not migrated (at {found}, wanted {wanted})"


def _redis() -> str:
    parts().inbox.ping()
    return "ok"
