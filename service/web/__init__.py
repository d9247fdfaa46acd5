"""HTTP: one module for each resource, and one handler for errors."""

from flask import Flask

from service.web import (
    callback_fast_path,
    callbacks,
    errors,
    health,
    metrics,
    ops,
    request_id,
    thread_limit,
)
from service.web.api import (
    events,
    inbound,
    messages,
    opt_outs,
    webhook_deliveries,
    webhook_endpoints,
)
from service.web.openapi import page

# Bytes of a batch of 1000 messages of maximum length, with every character escaped.
_MAX_BODY = 48 * 1024 * 1024


def init_app(app: Flask) -> None:
    """Register the routes, the error handler and the fast path of callbacks."""
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    request_id.init_app(app)
    metrics.init_app(app)
    thread_limit.init_app(app, app.extensions["waybill"].settings.api_threads)
    app.register_blueprint(messages.blueprint)
    app.register_blueprint(events.blueprint)
    app.register_blueprint(inbound.blueprint)
    app.register_blueprint(opt_outs.blueprint)
    app.register_blueprint(webhook_endpoints.blueprint)
    app.register_blueprint(webhook_deliveries.blueprint)
    app.register_blueprint(callbacks.blueprint)
    health.init_app(app)
    app.register_blueprint(page.blueprint)
    ops.init_app(app)
    errors.init_app(app)
    app.wsgi_app = callback_fast_path.CallbackFastPath(app)  # type: ignore[assignment]
