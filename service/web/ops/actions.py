"""The actions behind the buttons. Each redirects to a page that shows the result."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from flask import flash, g, redirect, request, url_for
from werkzeug.wrappers import Response

from service.errors import ClientError, ProviderError
from service.operations import operator_actions
from service.web.ops.blueprint import blueprint

_MAX_SID: Final = 64
_MAX_REPLAY: Final = 500


@blueprint.post("/messages/<uuid:message_id>/look-up")
def look_up(message_id: UUID) -> Response:
    """Ask the provider about a message now."""
    done = "The provider was asked. The timeline shows its answer."
    return _run(message_id, lambda: operator_actions.look_up(message_id, g.operator), done)


@blueprint.post("/messages/<uuid:message_id>/send-again")
def send_again(message_id: UUID) -> Response:
    """Send a message in doubt once more."""
    done = "The message will be sent again."
    return _run(message_id, lambda: operator_actions.send_again(message_id, g.operator), done)


@blueprint.post("/messages/<uuid:message_id>/resend")
def resend(message_id: UUID) -> Response:
    """Send a failed or expired message again."""
    confirmed = request.form.get("confirm_duplicate") == "yes"
    done = "The message will be sent again."
    return _run(
        message_id,
        lambda: operator_actions.resend(message_id, g.operator, confirmed=confirmed),
        done,
    )


@blueprint.post("/messages/<uuid:message_id>/give-up")
def give_up(message_id: UUID) -> Response:
    """Mark a message in doubt as failed."""
    done = "The message is marked as failed."
    return _run(message_id, lambda: operator_actions.give_up(message_id, g.operator), done)


@blueprint.post("/messages/<uuid:message_id>/sid")
def set_sid(message_id: UUID) -> Response:
    """Bind a message in doubt to a SID."""
    sid = request.form.get("sid", "").strip()
    if not (sid.isascii() and sid.isalnum() and len(sid) <= _MAX_SID):
        flash(f"Enter a SID: letters and digits, at most {_MAX_SID}.", "bad")
        return redirect(url_for("ops.message", message_id=message_id), 303)
    return _run(
        message_id,
        lambda: operator_actions.set_sid(message_id, sid, g.operator),
        "The message now has this SID and the status that the provider reports for it.",
    )


@blueprint.post("/dead-letters/replay")
def replay() -> Response:
    """Put dead letters back into the inbox: the selected ones, or the oldest."""
    numbers = request.form.getlist("number")[:_MAX_REPLAY]
    ids = [int(number) for number in numbers if number.isdecimal()]
    if ids or request.form.get("all") == "yes":
        count = operator_actions.replay(ids or None, g.operator)
        flash(f"Replayed: {count}. A callback that cannot be recorded returns here.", "good")
    else:
        flash("No dead letter was selected.", "bad")
    return redirect(url_for("ops.dead_letters"), 303)


def _run(message_id: UUID, action: Callable[[], object], done: str) -> Response:
    """Run an action, and show its result on the page of the message."""
    try:
        action()
        flash(done, "good")
    except ClientError as error:
        flash(error.detail.capitalize() + ".", "bad")
    except ProviderError as error:
        flash(f"The provider answered: {error.message}", "bad")
    return redirect(url_for("ops.message", message_id=message_id), 303)
