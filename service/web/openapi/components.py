"""Schemas and parameters of the OpenAPI document, made from the models of the API."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from service.web.api.responses import SHAPES
from service.web.api.schemas import MessageQuery, NewBatch, NewMessage
from service.web.openapi.errors import error_responses

_REFERENCE: Final = "#/components/schemas/{model}"
REPLAYED: Final = {
    "Idempotent-Replayed": {
        "description": "Present if an equal request with this key was answered before.",
        "schema": {"type": "string", "const": "true"},
    }
}
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Your key for this request. With a key, a message is stored once, however often "
    "you post it. Without a key, every post creates a message.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[!-~]([ -~]*[!-~])?$",
    },
    "example": "order-1842-shipped",
}
_API_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key: `wb_…`, or `wb_test_…` for tests, whose messages are not sent.",
}


def components(providers: Sequence[str]) -> dict[str, Any]:
    """Return schemas, error responses and the security scheme."""
    schemas = _schemas()
    # The model accepts any name: the providers depend on the settings.
    provider, _null = schemas["NewMessage"]["properties"]["provider"]["anyOf"]
    provider["enum"] = list(providers)
    return {
        "schemas": dict(sorted(schemas.items())),
        "responses": error_responses(),
        "securitySchemes": {"key": _API_KEY},
    }


def path_parameter(name: str) -> dict[str, Any]:
    """Return the parameter for a variable of a path."""
    schema = {"type": "string", "format": "uuid"} if name == "message_id" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def query_parameters() -> list[dict[str, Any]]:
    """Return the query parameters of a list of messages."""
    schema = _without_titles(MessageQuery.model_json_schema(ref_template=_REFERENCE))
    return [_query_parameter(name, field) for name, field in schema["properties"].items()]


def _query_parameter(name: str, field: dict[str, Any]) -> dict[str, Any]:
    # A field is nullable in the model, where null means "not given".
    schema = dict(next(iter(field.get("anyOf", [field]))))
    schema.pop("description", None)
    schema |= {key: field[key] for key in ("format", "default") if field.get(key) is not None}
    return {"name": name, "in": "query", "description": field["description"], "schema": schema}


def json_body(name: str, **examples: Any) -> dict[str, Any]:
    """Return the content of a JSON body with this schema and these examples."""
    content = {
        "schema": {"$ref": _REFERENCE.format(model=name)},
        "examples": {key: {"value": value} for key, value in examples.items()},
    }
    return {"application/json": content}


def _schemas() -> dict[str, Any]:
    answers = [(shape.__name__, "serialization", TypeAdapter(shape)) for shape in SHAPES]
    requests = [
        (model.__name__, "validation", TypeAdapter(model)) for model in (NewMessage, NewBatch)
    ]
    _, document = TypeAdapter.json_schemas([*answers, *requests], ref_template=_REFERENCE)  # type: ignore[list-item]
    schemas: dict[str, Any] = _without_titles(document["$defs"])
    # An invalid message does not make the batch invalid: it gets its own result.
    schemas["NewBatch"]["properties"]["messages"]["items"] = {
        "anyOf": [{"$ref": _REFERENCE.format(model="NewMessage")}, {}]
    }
    return schemas


def _without_titles(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes from names."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str) and value[:1].isupper())
    }
