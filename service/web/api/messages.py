"""The messages of a client: post, read, list, cancel."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.exceptions import BadRequest

from service.addresses import addresses_of
from service.components import components
from service.errors import ClientError, Conflict, Invalid
from service.models import Message
from service.providers.sandbox import SANDBOX
from service.queries import message_details, message_lists
from service.queries.clients import Owner
from service.sending.accept import Accepted, Draft, accept, answered_before
from service.sending.cancel import cancel
from service.web.api import authentication, representations
from service.web.api.drafts import carriers, check_key, digests, draft
from service.web.api.responses import AcceptedItem, RefusedItem
from service.web.api.schemas import MessageQuery, NewBatch, check
from service.web.errors import problem

# The ledger of a message has a handful of events; a provider that says more is cut off here.
_MOST_EVENTS = 1000

blueprint = Blueprint("messages", __name__, url_prefix="/v1/messages")


@blueprint.post("")
def post() -> tuple[Response, int, dict[str, str]]:
    """Accept one message."""
    caller, key = authentication.caller(), check_key(request.headers.get("Idempotency-Key"))
    [accepted] = _accept_all(caller, [(_json(), key)])
    if isinstance(accepted, Invalid):
        raise accepted
    if accepted.conflict:
        raise _key_reused(accepted.message)
    headers = {"Location": url_for("messages.get", message_id=accepted.message.id)}
    return (
        jsonify(representations.accepted(accepted.message)),
        202,
        {**headers, **_replay([accepted])},
    )


@blueprint.post("/batch")
def post_batch() -> tuple[Response, int, dict[str, str]]:
    """Accept up to a thousand messages; a bad one fails alone. Results come in order."""
    caller, key = authentication.caller(), check_key(request.headers.get("Idempotency-Key"))
    items = check(NewBatch, _json()).messages
    keyed = [(item, key and f"{key}\n{place}") for place, item in enumerate(items)]
    answers = _accept_all(caller, keyed)
    accepted = [one for one in answers if isinstance(one, Accepted)]
    return jsonify(results=[_result(one) for one in answers]), 202, _replay(accepted)


@blueprint.get("")
def list_messages() -> Response:
    """List messages, newest first, a page at a time."""
    client_id = authentication.client_id()
    query = check(MessageQuery, request.args.to_dict(), components().settings.default_region)
    filters = query.model_dump(exclude={"cursor", "limit"})
    if filters["to"] is not None:
        filters["to"] = addresses_of(filters["to"])
    page = message_lists.page(client_id, message_lists.Filter(**filters), query.cursor, query.limit)
    return jsonify(
        messages=[representations.message(one) for one in page.messages], next_cursor=page.next
    )


@blueprint.get("/<uuid:message_id>")
def get(message_id: UUID) -> Response:
    """Show one message."""
    return jsonify(
        representations.message(message_details.message(authentication.client_id(), message_id))
    )


@blueprint.get("/<uuid:message_id>/events")
def events(message_id: UUID) -> Response:
    """Show the ledger of one message."""
    found = message_details.message(authentication.client_id(), message_id)
    ledger = message_details.events(found.id, _MOST_EVENTS)
    return jsonify(events=[representations.event(one) for one in ledger])


@blueprint.post("/<uuid:message_id>/cancel")
def post_cancel(message_id: UUID) -> Response:
    """Cancel a message that is not yet sent."""
    return jsonify(representations.message(cancel(authentication.client_id(), message_id)))


def _json() -> Any:
    if not request.is_json:
        raise ClientError("send JSON, with Content-Type: application/json")
    try:
        return request.get_json()
    except (BadRequest, RecursionError):
        raise ClientError("the body is not JSON") from None


def _accept_all(caller: Owner, items: list[tuple[Any, str | None]]) -> list[Accepted | Invalid]:
    """Accept what is good of these; return an answer for each, in order."""
    checked = [_checked(caller, item, key) for item, key in items]
    drafts = [one for one in checked if isinstance(one, Draft)]
    stored = iter(accept(caller.id, drafts) if drafts else [])
    return [next(stored) if isinstance(one, Draft) else one for one in checked]


def _checked(caller: Owner, item: Any, key: str | None) -> Draft | Accepted | Invalid:
    try:
        drafted = draft(item, components().settings, carriers(), key)
        return replace(drafted, provider=SANDBOX) if caller.test else drafted
    except Invalid as invalid:
        region = components().settings.default_region
        before = key and answered_before(caller.id, key, digests(item, region))
        return before or invalid


def _result(one: Accepted | Invalid) -> AcceptedItem | RefusedItem:
    if isinstance(one, Accepted) and not one.conflict:
        return {"status": 202, "message": representations.accepted(one.message)}
    failure = one if isinstance(one, Invalid) else _key_reused(one.message)
    return {"status": failure.status, "problem": problem(failure)}


def _replay(stored: list[Accepted]) -> dict[str, str]:
    replayed = bool(stored) and all(one.replayed for one in stored)
    return {"Idempotent-Replayed": "true"} if replayed else {}


def _key_reused(earlier: Message) -> Conflict:
    if earlier.request_digest is None:
        return Conflict(
            "this Idempotency-Key was used before, for a message whose details are gone; "
            "nothing was sent now, use a new key for a new message"
        )
    return Conflict("this Idempotency-Key was used before, for a different request")
