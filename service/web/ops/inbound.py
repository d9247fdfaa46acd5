"""Pages of inbound messages: those without an owner, one message, and to give it to a client."""

from typing import Final
from uuid import UUID

from flask import flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.database.replica import from_replica
from service.errors import ClientError
from service.operations import inbound as operations
from service.operations.inbound import MOST_GIVEN, Given
from service.operations.webhooks import describe_delivery
from service.queries import clients, unowned_inbound
from service.queries.webhook_log import status_of
from service.web.ops.blueprint import blueprint
from service.web.ops.formatting import entered, explained

_PAGE: Final = 50
_MAX_CLIENT: Final = 100


@blueprint.get("/inbound")
@from_replica()
def inbound() -> str:
    """List inbound messages without an owner, newest first."""
    messages = unowned_inbound.page(request.args.get("before", type=UUID), _PAGE + 1)
    return render_template(
        "ops/inbound.html",
        messages=messages[:_PAGE],
        older=messages[_PAGE - 1].id if len(messages) > _PAGE else None,
        clients=clients.all_names().values(),
        most_given=MOST_GIVEN,
    )


@blueprint.get("/inbound/<uuid:message_id>")
@from_replica()
def inbound_message(message_id: UUID) -> str:
    """Show one inbound message with its payload, its owner, and what its owner was told."""
    return render_template(
        "ops/inbound_message.html",
        item=operations.read_received(message_id),
        clients=clients.all_names().values(),
        most_given=MOST_GIVEN,
        describe_delivery=describe_delivery,
        status_of=status_of,
    )


@blueprint.post("/inbound/<uuid:message_id>/give")
def give(message_id: UUID) -> Response:
    """Give a message without an owner to a client; return to the list if the button was there."""
    name = entered(request.form.get("client", ""), _MAX_CLIENT)
    all_of_sender = request.form.get("all") == "yes"
    try:
        given = operations.give(message_id, name, g.operator, all_of_sender=all_of_sender)
        flash(_result(given, name), "good")
    except ClientError as error:
        flash(explained(error), "bad")
    if request.form.get("list") == "yes":
        return redirect(url_for("ops.inbound"), 303)
    return redirect(url_for("ops.inbound_message", message_id=message_id), 303)


def _result(given: Given, name: str) -> str:
    messages = "1 message" if given.number == 1 else f"{given.number:,} messages"
    how = "by events" if given.told else "by GET /v1/inbound only, as it has asked for no events"
    return f"{name} has {messages} now, and learns of it {how}."
