"""Routes of `/v1/opt-outs`: who opted out of messages, and changes of it by clients."""

from typing import Final

from flask import Blueprint, Response, jsonify, request

from service.components import components
from service.database import transaction
from service.database.replica import from_replica
from service.errors import FieldError, Invalid, NotFound
from service.opt_outs import change, pairs
from service.queries import clients, opt_out_lists, senders
from service.queries.opt_outs import ALL
from service.representations import opt_outs as representations
from service.web.api import authentication
from service.web.api.bodies import json_body
from service.web.api.opt_out_schemas import (
    OptOutChange,
    OptOutQuery,
    OptOutSelection,
    cursor_of,
    position_of,
)
from service.web.api.schemas import INVALID_FIELDS, check

_CLIENT: Final = "client"
_NOT_OWN: Final = (
    "must be a sender of your client; an operator gives it one with `clients senders add`"
)
_NAME_ONE: Final = "is required: your client may end opt-outs from its own senders only"

blueprint = Blueprint("opt_outs", __name__, url_prefix="/v1/opt-outs")
blueprint.before_request(authentication.authenticate)


@blueprint.get("")
@from_replica()
def list_opt_outs() -> Response:
    """List opt-outs by number and sender, in pages."""
    query = check(OptOutQuery, request.args.to_dict())
    rows = opt_out_lists.page(
        query.limit + 1,
        position_of(query.cursor) if query.cursor else None,
        addresses=None if query.number is None else pairs.listed(query.number),
        sender=pairs.listed_sender(query.sender),
        test=authentication.client().test,
    )
    more = len(rows) > query.limit
    page = rows[: query.limit]
    return jsonify(
        opt_outs=representations.opt_outs(page), next_cursor=cursor_of(page[-1]) if more else None
    )


@blueprint.put("/<number>")
def put(number: str) -> Response:
    """Begin the opt-out of a person from a sender, or from every sender."""
    sender = check(OptOutChange, json_body() if request.get_data() else {}).sender
    if pairs.listed_sender(sender) not in (None, ALL):
        _check_own(sender)
    test = authentication.client().test
    change.begin(number, sender, reason=_CLIENT, by=_by(), test=test)
    rows = opt_out_lists.of_person(pairs.listed(number), test=test)
    return jsonify(opt_outs=representations.opt_outs(rows))


@blueprint.delete("/<number>")
def delete(number: str) -> tuple[str, int]:
    """End the opt-outs of a person."""
    sender = check(OptOutSelection, request.args.to_dict()).sender
    _check_own(sender)
    test = authentication.client().test
    if not change.end(number, sender, reason=_CLIENT, by=_by(), test=test):
        raise NotFound("there is no such opt-out")
    return "", 204


def _by() -> str:
    with transaction():
        return f"client {clients.name_of(authentication.client_id())}"


def _check_own(sender: str | None) -> None:
    """Raise Invalid where SENDER_OWNERSHIP is enforced and the sender is not the client's."""
    if components().settings.sender_ownership != "enforced":
        return
    normalised = pairs.listed_sender(sender)
    if normalised is None:
        raise Invalid(INVALID_FIELDS, [FieldError("sender", _NAME_ONE)])
    with transaction():
        owned = senders.of_client(authentication.client_id())
    if normalised not in owned:
        raise Invalid(INVALID_FIELDS, [FieldError("sender", _NOT_OWN)])
