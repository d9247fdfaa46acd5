"""The operator pages under `/ops`: rendered on the server, updated by JavaScript."""

from flask import Flask

from service.config.settings import Settings
from service.operations import operator_sessions
from service.web.ops import (  # noqa: F401 - each registers its pages
    actions,
    conversation,
    dead_letters,
    formatting,
    holds,
    inbound,
    login,
    messages,
    opt_outs,
    overview,
    resend,
    send_test_message,
    webhooks,
)
from service.web.ops.blueprint import PREFIX, blueprint, csrf


def init_app(app: Flask) -> None:
    """Register the pages, their sessions and their CSRF tokens."""
    settings: Settings = app.extensions["waybill"].settings
    if settings.ops_secret is not None:
        app.secret_key = settings.ops_secret.get_secret_value().encode()
    app.session_interface = login.Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="waybill_ops",
        SESSION_COOKIE_PATH=PREFIX,
        SESSION_COOKIE_HTTPONLY=True,
        # Not Strict: a link in an alert must open the message without a new login.
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.callback_base_url.startswith("https:"),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=operator_sessions.MAX_AGE,
        WTF_CSRF_CHECK_DEFAULT=False,  # the API and the callbacks have no session to protect
        WTF_CSRF_TIME_LIMIT=None,  # valid as long as the session
    )
    csrf.init_app(app)
    formatting.init_app(app)
    overview.init_app(app)
    app.register_blueprint(blueprint)
