"""Answer errors with problem documents (RFC 9457)."""

import logging
from typing import Annotated, Final

from flask import Flask, Response, json
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import TypedDict
from werkzeug.exceptions import HTTPException

from service.database.errors import is_retryable
from service.errors import ClientError, Unauthenticated, Unavailable

DATABASE_UNAVAILABLE: Final = (
    "the database is unavailable; retry after 5 s with the same Idempotency-Key"
)

_log = logging.getLogger(__name__)


class FieldProblem(TypedDict):
    """An error in one field."""

    field: str
    message: str


class _Problem(TypedDict):
    type: Annotated[str, Field(examples=["about:blank"])]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str


class Problem(_Problem, total=False):
    """An error in the format of RFC 9457."""

    errors: Annotated[list[FieldProblem], Field(description="Every invalid field.")]


def init_app(app: Flask) -> None:
    """Register the handlers that answer every error with a problem document."""
    app.register_error_handler(ClientError, _client_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SQLAlchemyError, _database_error)


def problem(error: ClientError) -> Problem:
    """Return the problem document of an error."""
    document: Problem = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if error.errors:
        document["errors"] = [
            {"field": field, "message": message} for field, message in error.errors
        ]
    return document


def answer(document: Problem) -> Response:
    """Return a response with a problem document."""
    return Response(
        json.dumps(document), document["status"], content_type="application/problem+json"
    )


def _client_error(error: ClientError) -> Response:
    response = answer(problem(error))
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = "5"
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = 'Bearer realm="waybill"'
    return response


def _http_error(error: HTTPException) -> Response:
    response = answer(
        {
            "type": "about:blank",
            "title": error.name,
            "status": error.code or 500,
            "detail": error.description or error.name,
        }
    )
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    return response


def _database_error(error: SQLAlchemyError) -> Response:
    if not is_retryable(error):
        raise error
    _log.error("database unavailable (%s); answered 503", type(error).__name__)
    return _client_error(Unavailable(DATABASE_UNAVAILABLE))
