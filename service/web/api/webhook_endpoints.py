"""Routes of `/v1/webhook-endpoints`."""

from flask import Blueprint, Response, jsonify

from service.queries import webhook_endpoints
from service.representations import webhook_endpoints as representations
from service.web.api import authentication
from service.web.api.bodies import json_body
from service.web.api.schemas import check
from service.web.api.webhook_schemas import NewWebhookEndpoint
from service.webhooks import endpoints

blueprint = Blueprint("webhook_endpoints", __name__, url_prefix="/v1/webhook-endpoints")
blueprint.before_request(authentication.authenticate)


@blueprint.post("")
def post() -> tuple[Response, int]:
    """Create an endpoint. Its secret is shown this once."""
    new = check(NewWebhookEndpoint, json_body())
    endpoint, secret = endpoints.create(
        authentication.client_id(), endpoints.NewEndpoint(**new.model_dump())
    )
    return jsonify({**representations.endpoint(endpoint), "secret": secret}), 201


@blueprint.get("")
def list_endpoints() -> Response:
    """List the endpoints of the client, the oldest first."""
    found = webhook_endpoints.all_of_client(authentication.client_id())
    return jsonify(webhook_endpoints=[representations.endpoint(each) for each in found])
