"""Who may come in: a key once, then a session for a shift."""

from typing import Final

from flask import Flask, Request, g, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.wrappers import Response

from service.store import operators
from service.web.auth import digest_of
from service.web.ops.blueprint import PREFIX, blueprint, csrf

_OPEN: Final = ("ops.static", "ops.login", "ops.post_login")


class Sessions(SecureCookieSessionInterface):
    """The sessions of these pages. The API has none, and does not pay for looking for one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie of a request for one of the pages."""
        return super().open_session(app, request) if request.path.startswith(PREFIX) else None


@blueprint.before_request
def _guard() -> Response | None:
    """Let operators pass, show the others the door, and take no form without its token."""
    if request.endpoint not in _OPEN:
        key = operators.live(session.get("key", 0))
        if key is None:
            return redirect(url_for("ops.login", next=_asked_for()), 303)
        g.operator = key.name
    csrf.protect()
    return None


@blueprint.get("/login")
def login() -> str:
    """Ask for a key."""
    return render_template("ops/login.html", next=_local(request.args.get("next")))


@blueprint.post("/login")
def post_login() -> Response | tuple[str, int]:
    """Begin a session for who has a live key."""
    onward = _local(request.form.get("next"))
    # Looked up by digest: how long the look-up takes tells nothing about the key.
    key = operators.by_digest(digest_of(request.form.get("key", "").strip()))
    if key is None:
        wrong = "This key is not known, or was revoked."
        return render_template("ops/login.html", next=onward, wrong=wrong), 401
    session.clear()
    session.permanent = True
    session["key"] = key.id
    return redirect(onward, 303)


@blueprint.post("/logout")
def logout() -> Response:
    """End the session."""
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
