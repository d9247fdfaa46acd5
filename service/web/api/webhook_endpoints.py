"""Routes of `/v1/webhook-endpoints`: create, read, change, delete, enable and test endpoints."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for

from service.errors import NotFound
from service.models import WebhookEndpoint
from service.queries import webhook_endpoints
from service.representations import webhook_endpoints as representations
from service.web.api import authentication
from service.web.api.bodies import json_body
from service.web.api.schemas import check
from service.web.api.webhook_schemas import NewWebhookEndpoint, SecretRotation
from service.webhooks import endpoints, secret_rotation

blueprint = Blueprint("webhook_endpoints", __name__, url_prefix="/v1/webhook-endpoints")
blueprint.before_request(authentication.authenticate)


@blueprint.post("")
def post() -> tuple[Response, int, dict[str, str]]:
    """Create an endpoint. Its secret is shown this once."""
    new = check(NewWebhookEndpoint, json_body())
    created = endpoints.create(authentication.client_id(), new.model_dump(mode="json"))
    location = url_for("webhook_endpoints.get", endpoint_id=created[0].id)
    return jsonify(representations.with_secret(*created)), 201, {"Location": location}


@blueprint.get("")
def list_endpoints() -> Response:
    """List the endpoints of the client, the oldest first."""
    found = webhook_endpoints.all_of_client(authentication.client_id())
    return jsonify(webhook_endpoints=representations.endpoints(found))


@blueprint.get("/<uuid:endpoint_id>")
def get(endpoint_id: UUID) -> Response:
    """Show an endpoint with its health."""
    return jsonify(representations.endpoint(own_endpoint(endpoint_id)))


@blueprint.patch("/<uuid:endpoint_id>")
def patch(endpoint_id: UUID) -> Response:
    """Change an endpoint."""
    changes = _checked_changes(own_endpoint(endpoint_id), json_body())
    changed = endpoints.change(authentication.client_id(), endpoint_id, changes)
    return jsonify(representations.endpoint(changed))


@blueprint.delete("/<uuid:endpoint_id>")
def delete(endpoint_id: UUID) -> tuple[str, int]:
    """Delete an endpoint: what it is owed is not delivered."""
    endpoints.delete(authentication.client_id(), endpoint_id)
    return "", 204


@blueprint.post("/<uuid:endpoint_id>/enable")
def enable(endpoint_id: UUID) -> Response:
    """Enable an endpoint: what it is owed is due."""
    return jsonify(
        representations.endpoint(endpoints.enable(authentication.client_id(), endpoint_id))
    )


@blueprint.post("/<uuid:endpoint_id>/rotate-secret")
def rotate_secret(endpoint_id: UUID) -> Response:
    """Give an endpoint a new secret. It is shown this once."""
    order = check(SecretRotation, json_body() if request.get_data() else {})
    overlap = timedelta(seconds=order.overlap_seconds)
    rotated = secret_rotation.rotate(authentication.client_id(), endpoint_id, overlap)
    return jsonify(representations.with_secret(*rotated))


@blueprint.post("/<uuid:endpoint_id>/test")
def test(endpoint_id: UUID) -> tuple[Response, int]:
    """Deliver an event that tests an endpoint."""
    delivery = endpoints.send_test(authentication.client_id(), endpoint_id)
    return jsonify(representations.delivery(delivery)), 202


def own_endpoint(endpoint_id: UUID) -> WebhookEndpoint:
    """Return an endpoint of the client of this request. Raises NotFound."""
    endpoint = webhook_endpoints.of_client(authentication.client_id(), endpoint_id)
    if endpoint is None:
        raise NotFound(endpoints.UNKNOWN)
    return endpoint


def _checked_changes(endpoint: WebhookEndpoint, body: Any) -> dict[str, Any]:
    """Return the changed fields, validated as at creation. Raises Invalid."""
    if not isinstance(body, dict):
        check(NewWebhookEndpoint, body)
    stored = {name: getattr(endpoint, name) for name in NewWebhookEndpoint.model_fields}
    changed = check(NewWebhookEndpoint, {**stored, **body})
    return changed.model_dump(mode="json", include=set(body))
