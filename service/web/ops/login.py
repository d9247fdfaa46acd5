"""Who may come in: a key once, then a session for a shift."""

from typing import Final

from flask import Flask, Request, g, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.wrappers import Response

from service.components import components
from service.config.settings import SESSIONS_NEED_A_KEY
from service.models import OperatorKey
from service.operations import operator_sessions
from service.queries import keys
from service.web.ops.blueprint import PREFIX, blueprint, csrf, page_of_error

_OPEN: Final = ("ops.static", "ops.login", "ops.post_login")
_NAME: Final = "id"  # of the session's id in the cookie


class Sessions(SecureCookieSessionInterface):
    """The cookies of these pages. The API has none, and does not pay for looking for one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie of a request for one of the pages."""
        return super().open_session(app, request) if request.path.startswith(PREFIX) else None

    def get_cookie_secure(self, app: Flask) -> bool:
        """Keep the cookie to HTTPS where the service, or this request, is reached that way."""
        return super().get_cookie_secure(app) or request.is_secure


@blueprint.before_request
def _require_secret() -> tuple[str, int] | None:
    """Show no page without `OPS_SECRET`: a session signed with anything else could be forged."""
    if components().settings.ops_secret is None and request.endpoint != "ops.static":
        return page_of_error(503, "These pages need OPS_SECRET", SESSIONS_NEED_A_KEY)
    return None


@blueprint.before_request
def _guard() -> Response | None:
    """Require an operator's session (else redirect to the login) and check the CSRF token."""
    if request.endpoint not in _OPEN:
        current = operator_sessions.find(session.get(_NAME))
        if current is None:
            return redirect(url_for("ops.login", next=_asked_for()), 303)
        g.session_id, g.operator = current.id, current.operator
    csrf.protect()
    return None


@blueprint.get("/login")
def login() -> str:
    """Ask for a key."""
    return render_template("ops/login.html", next=_local(request.args.get("next")))


@blueprint.post("/login")
def post_login() -> Response | tuple[str, int]:
    """Begin a session for the owner of a live key. Every session gets a new id."""
    onward = _local(request.form.get("next"))
    key = keys.find(OperatorKey, request.form.get("key", "").strip())
    if key is None:
        wrong = "This key is not known, or was revoked."
        return render_template("ops/login.html", next=onward, wrong=wrong), 401
    session.clear()
    session.permanent = True
    session[_NAME] = operator_sessions.begin(key)
    return redirect(onward, 303)


@blueprint.post("/logout")
def logout() -> Response:
    """End the session, in the database and in this browser."""
    operator_sessions.end([g.session_id])
    session.clear()
    return redirect(url_for("ops.login"), 303)


def _asked_for() -> str:
    return request.full_path.rstrip("?") if request.method == "GET" else ""


def _local(path: str | None) -> str:
    """Return a path of these pages: a link must not lead who logs in to another host."""
    home = url_for("ops.overview")
    if path is None or not path.startswith(home) or "\\" in path or not path.isprintable():
        return home
    return path
