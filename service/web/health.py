"""Alive and ready: the process answers; its database and its Redis do too."""

from collections.abc import Callable
from typing import Final

from flask import Blueprint, Response, jsonify

from service import migrating
from service.extensions import db, parts

_NOT_MIGRATED: Final = "not migrated"

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer as long as the process can."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Say how each part is: 200 as long as callbacks can be stored, 503 when they cannot.

    Either store is enough for that. To take a server out because Redis or the database is away
    would turn a degraded service into lost callbacks; one that is not migrated must not start.
    """
    found = {"database": _outcome(_database), "redis": _outcome(_redis)}
    away = [outcome for outcome in found.values() if outcome != "ok"]
    if len(away) == len(found) or found["database"].startswith(_NOT_MIGRATED):
        return jsonify(status="not ready", parts=found), 503
    return jsonify(status="degraded" if away else "ready", parts=found), 200


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:
        # The type only: the text of a driver's error holds addresses and user names.
        return f"unreachable ({type(error).__name__})"


def _database() -> str:
    wanted = migrating.WANTED
    with db.engine.connect() as connection:
        found = migrating.found(connection)
    return "ok" if found == wanted else f"{_NOT_MIGRATED} (at {found}, wanted {wanted})"


def _redis() -> str:
    parts().inbox.ping()
    return "ok"
