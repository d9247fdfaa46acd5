"""Routes of `/v1/inbound`: what recipients wrote to the senders of a client."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from service.addresses import addresses_of
from service.components import components
from service.database.replica import from_replica
from service.queries import inbound
from service.representations import inbound as representations
from service.web.api import authentication
from service.web.api.inbound_schemas import InboundQuery
from service.web.api.schemas import check

blueprint = Blueprint("inbound", __name__, url_prefix="/v1/inbound")
blueprint.before_request(authentication.authenticate)


@blueprint.get("")
@from_replica()
def list_inbound() -> Response:
    """List inbound messages, newest first, in pages."""
    query = check(InboundQuery, request.args.to_dict(), components().settings.default_region)
    page = inbound.page(authentication.client_id(), _filter(query), query.cursor, query.limit)
    shown = [representations.inbound(message) for message in page.rows]
    return jsonify(messages=shown, next_cursor=page.next)


@blueprint.get("/<uuid:inbound_id>")
def get(inbound_id: UUID) -> Response:
    """Show one inbound message."""
    message = inbound.message(authentication.client_id(), inbound_id)
    return jsonify(representations.inbound(message))


def _filter(query: InboundQuery) -> inbound.Filter:
    return inbound.Filter(
        from_addresses=None if query.person is None else addresses_of(query.person),
        to_address=query.to,
        keyword=query.keyword,
        in_reply_to=query.in_reply_to,
        received_after=query.received_after,
        received_before=query.received_before,
    )
