"""The shapes of requests, answers and errors, made from what produces them."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from werkzeug.exceptions import InternalServerError, RequestEntityTooLarge

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
from service.web.api.responses import SHAPES
from service.web.api.schemas import MessageQuery, NewBatch, NewMessage
from service.web.errors import Problem, problem

_PLACE: Final = "#/components/schemas/{model}"
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds to wait before the same request may succeed.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_RATE: Final = {
    f"RateLimit-{name}": {"description": says, "schema": {"type": "integer", "minimum": 0}}
    for name, says in (
        ("Limit", "How many messages the limit that was met allows."),
        ("Remaining", "How many of them are left."),
        ("Reset", "Seconds until there is room again."),
    )
}
_CHALLENGE: Final = {
    "WWW-Authenticate": {
        "required": True,
        "schema": {"type": "string", "const": 'Bearer realm="waybill"'},
    }
}
REPLAYED: Final = {
    "Idempotent-Replayed": {
        "description": "There when the request was answered before, under this key.",
        "schema": {"type": "string", "const": "true"},
    }
}
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Your name for this request: with it a message is stored once, however often "
    "it is posted. Without it every post is another message.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[!-~]([ -~]*[!-~])?$",
    },
    "example": "order-1842-shipped",
}

# What is refused, as it is refused: `service.web.errors` makes the document from the same classes.
_REFUSALS: Final[dict[int, tuple[str, Problem]]] = {
    400: (
        "The body is not JSON, or not called so.",
        problem(ClientError("the body is not JSON")),
    ),
    401: (
        "No key, an unknown key, or a revoked one.",
        problem(Unauthenticated("this API key is not known, or was revoked")),
    ),
    404: (
        "There is no such message, or it is another client's.",
        problem(NotFound("there is no such message")),
    ),
    409: (
        "The key was used before for a different request; or it is too late to cancel.",
        problem(Conflict("this Idempotency-Key was used before, for a different request")),
    ),
    422: (
        "A field cannot be accepted; `errors` says which, and why.",
        problem(
            Invalid(
                "the request has fields we cannot accept",
                [FieldError("sendat", "there is no such field")],
            )
        ),
    ),
    429: (
        "You post more than you may. Nothing of it was stored.",
        problem(RateLimited("rate limit exceeded; retry after 12 s")),
    ),
    503: (
        "The database, or the provider, does not answer. Send the same request again, with the "
        "same `Idempotency-Key`.",
        problem(
            Unavailable("the database does not answer; try again with the same Idempotency-Key")
        ),
    ),
    **{
        error.code: (
            says,
            {
                "type": "about:blank",
                "title": error().name,
                "status": error.code,
                "detail": error.description,
            },
        )
        for error, says in (
            (RequestEntityTooLarge, "The body is too large."),
            (InternalServerError, "A fault of ours. Whether it had an effect is not known."),
        )
    },
}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: _CHALLENGE,
    429: {**_RETRY_AFTER, **_RATE},
    503: _RETRY_AFTER,
}


def components(carriers: Sequence[str]) -> dict[str, Any]:
    """Return the shapes, the refusals and the way to present a key."""
    shapes = _schemas()
    # Which names there are, the settings know and the model does not.
    named, _nothing = shapes["NewMessage"]["properties"]["provider"]["anyOf"]
    named["enum"] = list(carriers)
    return {
        "schemas": dict(sorted(shapes.items())),
        "responses": {_name(status): _refusal(status) for status in sorted(_REFUSALS)},
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key: `wb_…`, or `wb_test_…` for tests, whose messages "
                "reach nobody.",
            }
        },
    }


def refusals(statuses: Sequence[int]) -> dict[str, Any]:
    """Return references to the refusals of an operation."""
    return {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"}
        for status in sorted(statuses)
    }


def variable(name: str) -> dict[str, Any]:
    """Return the parameter for a part of a path."""
    schema = {"type": "string", "format": "uuid"} if name == "message_id" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def query_of_a_list() -> list[dict[str, Any]]:
    """Return the parameters of a list: none may be null, each may be left out."""
    parameters = []
    for name, field in _plain(MessageQuery.model_json_schema(ref_template=_PLACE))[
        "properties"
    ].items():
        said = field.pop("description")
        default = {"default": field["default"]} if field.get("default") is not None else {}
        # Nullable in the model, where it means "not given".
        schema = next(iter(field.get("anyOf", [field])))
        kept = {key: field[key] for key in ("format",) if key in field}
        parameters.append(
            {
                "name": name,
                "in": "query",
                "description": said,
                "schema": {**schema, **kept, **default},
            }
        )
    return parameters


def json_body(name: str, **examples: Any) -> dict[str, Any]:
    """Return the content of a JSON body of this shape, with examples by name."""
    shown = {key: {"value": value} for key, value in examples.items()}
    schema = {"$ref": _PLACE.format(model=name)}
    return {"application/json": {"schema": schema, "examples": shown}}


def _schemas() -> dict[str, Any]:
    given = [(shape.__name__, "serialization", TypeAdapter(shape)) for shape in SHAPES]
    asked = [(model.__name__, "validation", TypeAdapter(model)) for model in (NewMessage, NewBatch)]
    _, made = TypeAdapter.json_schemas([*given, *asked], ref_template=_PLACE)  # type: ignore[list-item]
    schemas: dict[str, Any] = _plain(made["$defs"])
    # Anything is taken, and answered by itself: one bad message refuses no other.
    schemas["NewBatch"]["properties"]["messages"]["items"] = {
        "anyOf": [{"$ref": _PLACE.format(model="NewMessage")}, {}]
    }
    return schemas


def _plain(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str) and value[:1].isupper())
    }


def _refusal(status: int) -> dict[str, Any]:
    says, example = _REFUSALS[status]
    return {
        "description": says,
        "headers": _HEADERS.get(status, {}),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": _PLACE.format(model="Problem")},
                "example": example,
            }
        },
    }


def _name(status: int) -> str:
    """Return the name of a refusal: its title in one word."""
    return "".join(word.capitalize() for word in _REFUSALS[status][1]["title"].split())
