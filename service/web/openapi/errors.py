"""Error responses of the OpenAPI document, made from the classes that the API raises."""

from collections.abc import Sequence
from typing import Any, Final

from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge

from service.errors import (
    ClientError,
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from service.web.api.authentication import UNKNOWN_KEY
from service.web.errors import DATABASE_UNAVAILABLE, Problem, problem

_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds until the same request may succeed.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_RATE_LIMIT: Final = {
    f"RateLimit-{name}": {"description": text, "schema": {"type": "integer", "minimum": 0}}
    for name, text in (
        ("Limit", "Number of messages that the exceeded limit allows."),
        ("Remaining", "Number of messages left."),
        ("Reset", "Seconds until messages are allowed again."),
    )
}
_CHALLENGE: Final = {
    "WWW-Authenticate": {
        "required": True,
        "schema": {"type": "string", "const": 'Bearer realm="waybill"'},
    }
}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: _CHALLENGE,
    429: {**_RETRY_AFTER, **_RATE_LIMIT},
    503: _RETRY_AFTER,
}


def _http_problem(error: type[HTTPException]) -> Problem:
    return {
        "type": "about:blank",
        "title": error().name,
        "status": error.code or 500,
        "detail": error.description or "",
    }


# By status: the description, and the problem document that the API answers.
_ERRORS: Final[dict[int, tuple[str, Problem]]] = {
    400: (
        "The body is not JSON, or has another Content-Type.",
        problem(ClientError("the body must be valid JSON")),
    ),
    401: (
        "The API key is missing, unknown or revoked.",
        problem(Unauthenticated(UNKNOWN_KEY)),
    ),
    404: (
        "The message does not exist, or belongs to another client.",
        problem(NotFound("there is no such message")),
    ),
    409: (
        "The Idempotency-Key was used for a different request, or it is too late to cancel.",
        problem(
            Conflict(
                "this Idempotency-Key was used for a different request; use a new key for a new "
                "message"
            )
        ),
    ),
    413: ("The body is too large.", _http_problem(RequestEntityTooLarge)),
    422: (
        "A field is invalid; `errors` lists every invalid field with the reason.",
        problem(
            Invalid(
                "the request has invalid fields; see errors",
                [FieldError("sendat", "is not a known field; correct its name or leave it out")],
            )
        ),
    ),
    429: (
        "A rate limit is exceeded. No message of the request is stored.",
        problem(RateLimited("rate limit exceeded; retry after 12 s")),
    ),
    500: (
        "An error in Waybill. It is unknown whether the request had an effect.",
        _http_problem(InternalServerError),
    ),
    503: (
        "The database or the provider is unavailable. Retry the same request with the same "
        "`Idempotency-Key`.",
        problem(Unavailable(DATABASE_UNAVAILABLE)),
    ),
}


def error_responses() -> dict[str, Any]:
    """Return the error responses by name."""
    return {_name(status): _response(status) for status in sorted(_ERRORS)}


def references(statuses: Sequence[int]) -> dict[str, Any]:
    """Return references to the error responses of an operation, by status."""
    return {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"}
        for status in sorted(statuses)
    }


def _response(status: int) -> dict[str, Any]:
    description, example = _ERRORS[status]
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {
        "description": description,
        "headers": _HEADERS.get(status, {}),
        "content": {"application/problem+json": content},
    }


def _name(status: int) -> str:
    """Return the title of an error as one word."""
    return "".join(word.capitalize() for word in _ERRORS[status][1]["title"].split())
