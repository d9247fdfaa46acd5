"""Login with an operator key, and the session behind every page."""

from typing import Final

from flask import Flask, Request, g, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.wrappers import Response

from service.components import components
from service.config.settings import SESSIONS_NEED_A_KEY
from service.models import OperatorKey
from service.operations import operator_sessions
from service.queries import keys
from service.web.ops.blueprint import PREFIX, blueprint, csrf, error_page

_PUBLIC: Final = ("ops.static", "ops.login", "ops.post_login")
_SESSION_ID: Final = "id"  # its name in the cookie


class Sessions(SecureCookieSessionInterface):
    """The session cookie of the operator pages. Requests of the API are not searched for one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie of a request for an operator page."""
        return super().open_session(app, request) if request.path.startswith(PREFIX) else None

    def get_cookie_secure(self, app: Flask) -> bool:
        """Restrict the cookie to HTTPS if the base URL or this request uses it."""
        return super().get_cookie_secure(app) or request.is_secure


@blueprint.before_request
def _require_secret() -> tuple[str, int] | None:
    """Answer 503 without `OPS_SECRET`: a session signed with a guessable key could be forged."""
    if components().settings.ops_secret is None and request.endpoint != "ops.static":
        return error_page(503, "OPS_SECRET is not set", SESSIONS_NEED_A_KEY)
    return None


@blueprint.before_request
def _require_session() -> Response | None:
    """Require an operator session (else redirect to the login) and check the CSRF token."""
    if request.endpoint not in _PUBLIC:
        current = operator_sessions.find(session.get(_SESSION_ID))
        if current is None:
            return redirect(url_for("ops.login", next=_requested_page()), 303)
        g.session_id, g.operator = current.id, current.operator
    csrf.protect()
    return None


@blueprint.get("/login")
def login() -> str:
    """Show the login form."""
    return render_template("ops/login.html", next=_local_path(request.args.get("next")))


@blueprint.post("/login")
def post_login() -> Response | tuple[str, int]:
    """Begin a session for a valid key. Every login gets a new session id."""
    target = _local_path(request.form.get("next"))
    key = keys.find(OperatorKey, request.form.get("key", "").strip())
    if key is None:
        error = "Unknown or revoked key."
        return render_template("ops/login.html", next=target, error=error), 401
    session.clear()
    session.permanent = True
    session[_SESSION_ID] = operator_sessions.begin(key)
    return redirect(target, 303)


@blueprint.post("/logout")
def logout() -> Response:
    """End the session, in the database and in this browser."""
    operator_sessions.end([g.session_id])
    session.clear()
    return redirect(url_for("ops.login"), 303)


def _requested_page() -> str:
    return request.full_path.rstrip("?") if request.method == "GET" else ""


def _local_path(path: str | None) -> str:
    """Return a path of the operator pages: a login link must not redirect to another host."""
    overview = url_for("ops.overview")
    if path is None or not path.startswith(overview) or "\\" in path or not path.isprintable():
        return overview
    return path
