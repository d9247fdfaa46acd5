"""The page of a conversation: messages to and from one number, updated while it is open."""

from typing import Final
from uuid import UUID

from flask import Response, render_template, request

from service.database.replica import from_replica
from service.errors import NotFound
from service.operations.conversation import Conversation, read_conversation
from service.operations.persons import named
from service.web.ops.blueprint import blueprint
from service.web.ops.formatting import entered
from service.web.ops.overview import fragment_response

_PAGE: Final = 50


@blueprint.get("/conversation")
@from_replica()
def conversation() -> str:
    """Show the messages to and from a number, newest first."""
    before = request.args.get("before", type=UUID)
    shown = _read(before)
    return render_template(
        "ops/conversation.html", fragment=_fragment(shown), conversation=shown, before=before
    )


@blueprint.get("/conversation/live")
@from_replica()
def conversation_live() -> Response:
    """Return the part of the newest page that changes, or 304."""
    return fragment_response(_fragment(_read(None)))


def _read(before: UUID | None) -> Conversation:
    number = entered(request.args.get("number", ""))
    if not number:
        raise NotFound("the address of this page needs a number, such as ?number=%2B14155552671")
    return read_conversation(named(number), before, _PAGE)


def _fragment(shown: Conversation) -> str:
    return render_template("ops/_conversation.html", conversation=shown)
