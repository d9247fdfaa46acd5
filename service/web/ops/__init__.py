"""The pages of operators: `/ops`. Server-rendered; they work without JavaScript, live with it.

``entry`` who may come in; ``overview``, ``messages``, ``letters`` and ``trying`` the pages,
``actions`` what their buttons do; ``charts``, ``concerns`` and ``wording`` how figures are told.
"""

from datetime import timedelta

from flask import Flask

from service.config import Settings
from service.web.ops import actions, entry, letters, messages, overview, trying, wording
from service.web.ops.blueprint import PREFIX, blueprint, csrf

__all__ = ["actions", "entry", "init_app", "letters", "messages", "overview", "trying"]

_SHIFT = timedelta(hours=12)  # the longest that somebody stays logged in


def init_app(app: Flask) -> None:
    """Register the pages, and set up what only they use: sessions and form tokens."""
    settings: Settings = app.extensions["waybill"].settings
    app.secret_key = settings.session_key()
    app.session_interface = entry.Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="waybill_ops",
        SESSION_COOKIE_PATH=PREFIX,
        SESSION_COOKIE_HTTPONLY=True,
        # Not Strict: a link in an alert must lead whoever is logged in to the message.
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.callback_base_url.startswith("https:"),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=_SHIFT,
        WTF_CSRF_CHECK_DEFAULT=False,  # the API and the callbacks have no session to protect
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
    )
    csrf.init_app(app)
    wording.init_app(app)
    app.register_blueprint(blueprint)
