"""Routes of the deliveries of a webhook endpoint: list, retry and recover them."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from service.database.replica import from_replica
from service.queries import webhook_log
from service.queries.webhook_log import DeliveryFilter
from service.representations import webhook_endpoints as representations
from service.web.api import authentication
from service.web.api.bodies import json_body
from service.web.api.schemas import check
from service.web.api.webhook_endpoints import own_endpoint
from service.web.api.webhook_schemas import DeliveryQuery, Recover, cursor_of, position_of
from service.webhooks import recover as use_cases

blueprint = Blueprint(
    "webhook_deliveries", __name__, url_prefix="/v1/webhook-endpoints/<uuid:endpoint_id>"
)
blueprint.before_request(authentication.authenticate)


@blueprint.get("/deliveries")
@from_replica()
def list_deliveries(endpoint_id: UUID) -> Response:
    """List deliveries to an endpoint, newest first, in pages."""
    query = check(DeliveryQuery, request.args.to_dict())
    filters = DeliveryFilter(status=query.status, message_id=query.message_id)
    page = webhook_log.page(own_endpoint(endpoint_id).id, filters, query.cursor, query.limit)
    shown = [representations.delivery(delivery) for delivery in page.deliveries]
    return jsonify(deliveries=shown, next_cursor=page.next)


@blueprint.post("/deliveries/<uuid:delivery_id>/retry")
def retry(endpoint_id: UUID, delivery_id: UUID) -> tuple[Response, int]:
    """Make a delivery due now."""
    delivery = use_cases.retry(authentication.client_id(), endpoint_id, delivery_id)
    return jsonify(representations.delivery(delivery)), 202


@blueprint.post("/recover")
def recover(endpoint_id: UUID) -> tuple[Response, int]:
    """Make due everything since a time that did not arrive."""
    order = check(Recover, json_body())
    after = None if order.cursor is None else position_of(order.cursor)
    part = use_cases.recover_part(authentication.client_id(), endpoint_id, order.since, after)
    next_cursor = None if part.next is None else cursor_of(part.next)
    return jsonify(recovered=part.deliveries, next_cursor=next_cursor), 202
