"""The blueprint of the operator pages: headers, limits and errors common to all of them."""

import logging
from typing import Final

from flask import Blueprint, Response, render_template, request
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from service.database.errors import is_retryable
from service.errors import ClientError, Unavailable

# No inline script or style, nothing from another host, and no framing.
_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_MAX_FORM: Final = 64 * 1024
PREFIX: Final = "/ops"

blueprint = Blueprint(
    "ops",
    __name__,
    url_prefix=PREFIX,
    template_folder="templates",
    static_folder="static",
)
csrf = CSRFProtect()

_log = logging.getLogger(__name__)


@blueprint.before_request
def _bound_forms() -> None:
    request.max_content_length = _MAX_FORM


@blueprint.after_request
def _harden(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint != "ops.static":
        response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.errorhandler(ClientError)
def _client_error(error: ClientError) -> tuple[str, int, dict[str, str]]:
    headers = {"Retry-After": "5"} if isinstance(error, Unavailable) else {}
    return *error_page(error.status, error.title, error.detail), headers


@blueprint.errorhandler(HTTPException)
def _http_error(error: HTTPException) -> tuple[str, int]:
    return error_page(error.code or 500, error.name, error.description or "")


@blueprint.errorhandler(SQLAlchemyError)
def _database_error(error: SQLAlchemyError) -> tuple[str, int]:
    if not is_retryable(error):
        raise error
    _log.error("database unavailable: %s", type(error).__name__)
    detail = (
        "Callbacks are stored in Redis; the API answers 503. These pages work again when the "
        "database answers. Check the database server and DATABASE_URL."
    )
    return error_page(503, "Database unavailable", detail)


def error_page(status: int, title: str, detail: str) -> tuple[str, int]:
    """Return an error page and its status."""
    return render_template("ops/error.html", status=status, title=title, detail=detail), status
