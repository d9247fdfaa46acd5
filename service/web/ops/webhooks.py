"""The pages of webhook endpoints: how each does, its latest deliveries, and their buttons."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from flask import flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.database.replica import from_replica
from service.errors import ClientError
from service.operations import webhooks as operations
from service.queries.webhook_log import DeliveryStatus, status_of
from service.web.ops.blueprint import blueprint
from service.web.ops.formatting import capped, entered, explained

_ENDPOINTS: Final = 25  # of a page: each may owe 10,000 deliveries that are counted
_DELIVERIES: Final = 50
_MAX_PAGE: Final = 1_000
_AN_HOUR: Final = timedelta(hours=1)


@blueprint.get("/webhooks")
@from_replica()
def webhooks() -> str:
    """List the webhook endpoints of all clients, or of one, those in trouble first."""
    client = entered(request.args.get("client", ""))
    page = max(1, min(request.args.get("page", 1, type=int), _MAX_PAGE))
    now = datetime.now(UTC)
    endpoints = operations.read_endpoints(now, _ENDPOINTS, (page - 1) * _ENDPOINTS, client or None)
    shown = {"endpoints": endpoints, "client": client, "page": page}
    return render_template("ops/webhooks.html", **shown, now=now, since=now - _AN_HOUR)


@blueprint.get("/webhooks/<uuid:endpoint_id>")
@from_replica()
def webhook_endpoint(endpoint_id: UUID) -> str:
    """Show one endpoint with its latest deliveries."""
    now, status = datetime.now(UTC), _status(request.args.get("status", ""))
    before = request.args.get("before", type=UUID)
    return render_template(
        "ops/webhook_endpoint.html",
        item=operations.read_endpoint(endpoint_id, now),
        page=operations.read_deliveries(endpoint_id, status, before, _DELIVERIES),
        status=status,
        statuses=DeliveryStatus,
        status_of=status_of,
        now=now,
        since=_time(request.args.get("since", "")) or now - _AN_HOUR,
    )


@blueprint.post("/webhooks/<uuid:endpoint_id>/enable")
def enable_webhook(endpoint_id: UUID) -> Response:
    """Enable an endpoint."""
    page = url_for("ops.webhook_endpoint", endpoint_id=endpoint_id)
    try:
        disabled_at = operations.enable(endpoint_id, g.operator)
    except ClientError as error:
        return _failed(explained(error), page)
    rest = f"What happened since {disabled_at:%Y-%m-%d %H:%M:%S} UTC is not owed: recover it."
    flash(f"The endpoint is enabled. {_owed(endpoint_id)} {rest}", "good")
    return redirect(f"{page}?since={disabled_at:%Y-%m-%dT%H:%M:%S}", 303)


@blueprint.post("/webhooks/<uuid:endpoint_id>/recover")
def recover_webhook(endpoint_id: UUID) -> Response:
    """Owe an endpoint every event since a time that it did not take."""
    page = url_for("ops.webhook_endpoint", endpoint_id=endpoint_id)
    since = _time(request.form.get("since", ""))
    if since is None:
        return _failed("Enter a date and time such as 2026-12-24T09:00.", page)

    def action() -> str:
        number = operations.recover_since(endpoint_id, since, g.operator)
        return f"Recovered since {since:%Y-%m-%d %H:%M:%S} UTC: {number:,}. {_owed(endpoint_id)}"

    return _run(action, page)


@blueprint.post("/webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/retry")
def retry_delivery(endpoint_id: UUID, delivery_id: UUID) -> Response:
    """Make a delivery due now; return to the page of its message if the button was there."""
    page = url_for("ops.webhook_endpoint", endpoint_id=endpoint_id)
    if message_id := request.form.get("message", type=UUID):
        page = url_for("ops.message", message_id=message_id)

    def action() -> str:
        operations.retry(endpoint_id, delivery_id, g.operator)
        return "The delivery is due now."

    return _run(action, page)


def _status(text: str) -> DeliveryStatus | None:
    return next((status for status in DeliveryStatus if status == text), None)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _owed(endpoint_id: UUID) -> str:
    owed = operations.read_endpoint(endpoint_id, datetime.now(UTC)).owed
    return f"It is owed {capped(owed)} {'delivery' if owed.size == 1 else 'deliveries'} now."


def _run(action: Callable[[], str], page: str) -> Response:
    """Run an action, and show its result on a page."""
    try:
        done = action()
    except ClientError as error:
        return _failed(explained(error), page)
    flash(done, "good")
    return redirect(page, 303)


def _failed(reason: str, page: str) -> Response:
    flash(reason, "bad")
    return redirect(page, 303)
