"""What the buttons do. Every answer leads back to a page, where what became of it is seen."""

from collections.abc import Callable
from uuid import UUID

from flask import flash, g, redirect, request, url_for
from werkzeug.wrappers import Response

from service.errors import ClientError, ProviderError
from service.operations import operator_actions
from service.web.ops.blueprint import blueprint

_LONGEST_SID = 64


@blueprint.post("/messages/<uuid:message_id>/look-up")
def look_up(message_id: UUID) -> Response:
    """Ask the provider about a message now."""
    return _done(message_id, lambda: operator_actions.look_up(message_id, g.operator), "Asked.")


@blueprint.post("/messages/<uuid:message_id>/send-again")
def send_again(message_id: UUID) -> Response:
    """Send a message in doubt once more."""
    said = "It will be sent again."
    return _done(message_id, lambda: operator_actions.send_again(message_id, g.operator), said)


@blueprint.post("/messages/<uuid:message_id>/give-up")
def give_up(message_id: UUID) -> Response:
    """Fail a message in doubt."""
    said = "Given up: the message has failed."
    return _done(message_id, lambda: operator_actions.give_up(message_id, g.operator), said)


@blueprint.post("/messages/<uuid:message_id>/sid")
def take_sid(message_id: UUID) -> Response:
    """Bind a message in doubt to a SID."""
    sid = request.form.get("sid", "").strip()
    if not (sid.isascii() and sid.isalnum() and len(sid) <= _LONGEST_SID):
        flash("That is not a SID.", "bad")
        return redirect(url_for("ops.message", message_id=message_id), 303)
    return _done(
        message_id,
        lambda: operator_actions.take_sid(message_id, sid, g.operator),
        "Bound to this SID; its status is the provider's.",
    )


@blueprint.post("/dead-letters/replay")
def replay() -> Response:
    """Put dead letters back into the inbox: those named, or the oldest."""
    named = [int(one) for one in request.form.getlist("number")[:500] if one.isdecimal()]
    if not named and request.form.get("all") != "yes":
        flash("Nothing was chosen.", "bad")
    else:
        count = operator_actions.replay(named or None, g.operator)
        flash(f"Put back into the inbox: {count}. What cannot be recorded returns here.", "good")
    return redirect(url_for("ops.dead_letters"), 303)


def _done(message_id: UUID, deed: Callable[[], object], said: str) -> Response:
    """Do it; say what became of it on the page of the message."""
    try:
        deed()
        flash(said, "good")
    except ClientError as error:
        flash(error.detail.capitalize() + ".", "bad")
    except ProviderError as error:
        flash(f"The provider said: {error.message}", "bad")
    return redirect(url_for("ops.message", message_id=message_id), 303)
