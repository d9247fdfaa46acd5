"""Routes of `/v1/messages`: post, read, list, cancel and resend messages."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for

from service.addresses import addresses_of
from service.components import components
from service.database.replica import from_replica
from service.domain.account import DEFAULT_ACCOUNT
from service.errors import Conflict, FieldError, Invalid
from service.models import Message
from service.providers.sandbox import SANDBOX
from service.queries import message_details, message_lists, webhook_endpoints
from service.queries.clients import KeyOwner
from service.representations import messages as representations
from service.sending.accept import Accepted, Draft, accept, answered_before
from service.sending.cancel import cancel
from service.sending.client_senders import ClientSenders
from service.sending.resend import resend
from service.web.api import authentication
from service.web.api.bodies import json_body
from service.web.api.drafts import check_idempotency_key, digests, draft
from service.web.api.resend import Resend
from service.web.api.responses import AcceptedItem, RefusedItem
from service.web.api.schemas import INVALID_FIELDS, MessageQuery, NewBatch, check
from service.web.api.senders import senders_of
from service.web.errors import problem

# The ledger of a message has about five events. This bounds the answer if a provider sends more.
_MAX_EVENTS = 1000

blueprint = Blueprint("messages", __name__, url_prefix="/v1/messages")
blueprint.before_request(authentication.authenticate)


@blueprint.post("")
def post() -> tuple[Response, int, dict[str, str]]:
    """Accept one message."""
    key = check_idempotency_key(request.headers.get("Idempotency-Key"))
    [accepted] = _accept_all([(json_body(), key)])
    if isinstance(accepted, Invalid):
        raise accepted
    if accepted.conflict:
        raise _key_reused(accepted.message)
    location = {"Location": url_for("messages.get", message_id=accepted.message.id)}
    document = representations.accepted(accepted.message)
    return jsonify(document), 202, {**location, **_replayed([accepted])}


@blueprint.post("/batch")
def post_batch() -> tuple[Response, int, dict[str, str]]:
    """Accept up to 1000 messages. An invalid message does not affect the others."""
    key = check_idempotency_key(request.headers.get("Idempotency-Key"))
    items = check(NewBatch, json_body()).messages
    results = _accept_all([(item, key and f"{key}\n{i}") for i, item in enumerate(items)])
    accepted = [result for result in results if isinstance(result, Accepted)]
    return jsonify(results=[_result(result) for result in results]), 202, _replayed(accepted)


@blueprint.get("")
@from_replica()
def list_messages() -> Response:
    """List messages, newest first, in pages."""
    query = check(MessageQuery, request.args.to_dict(), components().settings.default_region)
    filters = query.model_dump(exclude={"cursor", "limit"})
    if filters["to"] is not None:
        filters["to"] = addresses_of(filters["to"])
    page = message_lists.page(
        authentication.client_id(), message_lists.Filter(**filters), query.cursor, query.limit
    )
    return jsonify(messages=representations.messages(page.rows), next_cursor=page.next)


@blueprint.get("/<uuid:message_id>")
def get(message_id: UUID) -> Response:
    """Show one message."""
    message = message_details.message(authentication.client_id(), message_id)
    return jsonify(representations.message(message))


@blueprint.get("/<uuid:message_id>/events")
def events(message_id: UUID) -> Response:
    """Show the ledger of one message."""
    message = message_details.message(authentication.client_id(), message_id)
    ledger = message_details.events(message.id, _MAX_EVENTS)
    return jsonify(events=[representations.event(event) for event in ledger])


@blueprint.post("/<uuid:message_id>/cancel")
def post_cancel(message_id: UUID) -> Response:
    """Cancel a message that is not sent yet."""
    return jsonify(representations.message(cancel(authentication.client_id(), message_id)))


@blueprint.post("/<uuid:message_id>/resend")
def post_resend(message_id: UUID) -> tuple[Response, int]:
    """Send a message again that failed or expired without having been on the air."""
    order = check(Resend, json_body() if request.get_data() else {})
    message = resend(authentication.client_id(), message_id, confirmed=order.confirm_duplicate)
    return jsonify(representations.message(message)), 202


def _accept_all(items: list[tuple[Any, str | None]]) -> list[Accepted | Invalid]:
    """Accept the valid messages; return a result for each message, in order."""
    client = authentication.client()
    has_endpoint = cache(partial(webhook_endpoints.exists, client.id))
    region = components().settings.default_region
    senders = senders_of(client, (item for item, _ in items), region)
    checked = [_checked(client, item, key, has_endpoint, senders) for item, key in items]
    drafts = [result for result in checked if isinstance(result, Draft)]
    stored = iter(accept(client.id, drafts) if drafts else [])
    return [next(stored) if isinstance(result, Draft) else result for result in checked]


def _checked(
    client: KeyOwner,
    item: Any,
    key: str | None,
    has_endpoint: Callable[[UUID], bool],
    senders: ClientSenders,
) -> Draft | Accepted | Invalid:
    """Return a draft, the earlier answer to an equal request that is invalid by now, or why."""
    settings = components().settings
    try:
        new = draft(item, settings, components().real_providers, key, client.account, senders)
        _check_endpoint(new.webhook_endpoint_id, has_endpoint)
        if client.test:
            return replace(new, provider=SANDBOX, account=DEFAULT_ACCOUNT, provider_fixed=True)
        return new
    except Invalid as invalid:
        if key is None:
            return invalid
        return answered_before(client.id, key, digests(item, settings.default_region)) or invalid


def _check_endpoint(endpoint_id: UUID | None, has_endpoint: Callable[[UUID], bool]) -> None:
    """Check that a message names an endpoint of its client. Raises Invalid."""
    if endpoint_id is None or has_endpoint(endpoint_id):
        return
    problem = "must be the id of a webhook endpoint of yours that is not deleted"
    raise Invalid(INVALID_FIELDS, [FieldError("webhook_endpoint", problem)])


def _result(result: Accepted | Invalid) -> AcceptedItem | RefusedItem:
    if isinstance(result, Accepted) and not result.conflict:
        return {"status": 202, "message": representations.accepted(result.message)}
    error = result if isinstance(result, Invalid) else _key_reused(result.message)
    return {"status": error.status, "problem": problem(error)}


def _replayed(accepted: list[Accepted]) -> dict[str, str]:
    replayed = bool(accepted) and all(result.replayed for result in accepted)
    return {"Idempotent-Replayed": "true"} if replayed else {}


def _key_reused(earlier: Message) -> Conflict:
    if earlier.request_digest is None:
        return Conflict(
            "this Idempotency-Key was used for an earlier message, whose details are deleted; "
            "nothing was sent now; use a new key to send a new message"
        )
    return Conflict(
        "this Idempotency-Key was used for a different request; use a new key for a new message"
    )
