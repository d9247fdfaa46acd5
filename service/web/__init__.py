"""The only room that knows HTTP requests: one module per resource, one handler for errors."""

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
from service.web.api import messages
from service.web.openapi import page

# A batch of a thousand of the longest messages, every character of them escaped.
_MAX_BODY = 48 * 1024 * 1024


def init_app(app: Flask) -> None:
    """Register every route and the error handler, and hang the callbacks' own door."""
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    request_id.init_app(app)
    metrics.init_app(app)
    thread_limit.init_app(app, app.extensions["waybill"].settings.api_threads)
    app.register_blueprint(messages.blueprint)
    app.register_blueprint(callbacks.blueprint)
    health.init_app(app)
    app.register_blueprint(page.blueprint)
    ops.init_app(app)
    errors.init_app(app)
    app.wsgi_app = callback_fast_path.CallbackDoor(app)  # type: ignore[assignment]
