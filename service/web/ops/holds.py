"""The page of holds: what is blocked or paused, and its buttons."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.database.replica import from_replica
from service.errors import ClientError
from service.operations import holds as operations
from service.operations.holds import MAX_REASON
from service.operations.pause_targets import account_names
from service.web.ops.blueprint import blueprint

# What an operator may enter to postpone a probe.
_MAX_MINUTES: Final = 7 * 24 * 60
_KINDS: Final = ("provider", "account", "sender", "client")


@blueprint.get("/holds")
@from_replica()
def holds() -> str:
    """List what is blocked or paused, and what ended in the last days."""
    now = datetime.now(UTC)
    return render_template(
        "ops/holds.html",
        holds=operations.read_holds(now),
        now=now,
        kinds=_KINDS,
        accounts=account_names(),
        max_reason=MAX_REASON,
        max_minutes=_MAX_MINUTES,
    )


@blueprint.post("/holds/pause")
def pause() -> Response:
    """Pause a provider, an account, a sender or a client."""
    kind, name = request.form.get("kind", ""), request.form.get("name", "").strip()
    if kind not in _KINDS or not name:
        return _failed("Choose what to pause, and enter its name")
    if request.form.get("confirmed") != "yes":
        return _failed("Confirm that messages may expire meanwhile")
    reason = request.form.get("reason", "")
    return _run(
        lambda: operations.pause(kind, name, reason, g.operator),
        f"Paused {kind} {name}. Its messages wait, and their deadlines go on counting.",
    )


@blueprint.post("/holds/<int:hold_id>/release")
def release(hold_id: int) -> Response:
    """End a block or a pause now."""
    done = f"Hold {hold_id} is released. Its messages are due now."
    return _run(lambda: operations.release(hold_id, g.operator), done)


@blueprint.post("/holds/<int:hold_id>/extend")
def extend(hold_id: int) -> Response:
    """Postpone the next probe of a block."""
    minutes = request.form.get("minutes", "").strip()
    if not (minutes.isascii() and minutes.isdecimal() and 0 < int(minutes[:9]) <= _MAX_MINUTES):
        return _failed(f"Enter a number of minutes from 1 to {_MAX_MINUTES}")
    until = datetime.now(UTC) + timedelta(minutes=int(minutes))
    done = f"The next probe of hold {hold_id} is at {until:%Y-%m-%d %H:%M:%S} UTC."
    return _run(lambda: operations.extend(hold_id, until, g.operator), done)


def _run(action: Callable[[], object], done: str) -> Response:
    """Run an action, and show its result on the page of holds."""
    try:
        action()
    except ClientError as error:
        return _failed(error.detail)
    flash(done, "good")
    return redirect(url_for("ops.holds"), 303)


def _failed(reason: str) -> Response:
    flash(f"{reason[:1].upper()}{reason[1:]}.", "bad")
    return redirect(url_for("ops.holds"), 303)
