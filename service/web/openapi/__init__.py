"""The OpenAPI document: `openapi.json`, completed with what the code defines.

The schemas and the parameters of a list come from the models of the API, the names of the providers
from the settings, and the sample requests from `templates/samples`.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from flask import render_template
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from service.representations.events import CONTENT
from service.web.api.event_schemas import EventQuery
from service.web.api.inbound_schemas import InboundQuery
from service.web.api.opt_out_schemas import OptOutChange, OptOutQuery, OptOutSelection
from service.web.api.resend import Resend
from service.web.api.responses import SHAPES
from service.web.api.schemas import MessageQuery, NewBatch, NewMessage
from service.web.api.webhook_schemas import (
    DeliveryQuery,
    NewWebhookEndpoint,
    Recover,
    SecretRotation,
)

_TEXT: Final = files(__name__).joinpath("openapi.json").read_text("utf-8")
_REFERENCE: Final = "#/components/schemas/{model}"
_REQUESTS: Final = (
    *(NewMessage, NewBatch, Resend, NewWebhookEndpoint, SecretRotation, Recover),
    OptOutChange,
)
_QUERIES: Final[Mapping[str, type[BaseModel]]] = {
    "/v1/messages": MessageQuery,
    "/v1/inbound": InboundQuery,
    "/v1/events": EventQuery,
    "/v1/webhook-endpoints/{endpoint_id}/deliveries": DeliveryQuery,
    "/v1/opt-outs": OptOutQuery,
}
_LANGUAGES: Final = {"curl": "Shell", "Python": "Python", "Node": "JavaScript"}
# The message, the webhook endpoint and the delivery of the examples.
MESSAGE_ID: Final = "01a1fd14-9522-7078-b19f-9ef257cf0b38"
ENDPOINT_ID: Final = "01a1fd10-1f6e-7c31-8f0a-3b1d5a7c2e94"
DELIVERY_ID: Final = "01a1fd15-02b4-7d15-a6c2-51f0c88e7b3d"
INBOUND_ID: Final = "01a1fd16-7b3a-7c44-9a3e-6f0c2d4b8e19"
_IDS: Final = {
    "message_id": MESSAGE_ID,
    "endpoint_id": ENDPOINT_ID,
    "delivery_id": DELIVERY_ID,
    "number": "+14155552671",
    "inbound_id": INBOUND_ID,
}


def document(providers: Sequence[str]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document for these providers."""
    api: dict[str, Any] = json.loads(_TEXT)
    api["components"]["schemas"] = _schemas(providers)
    for path, query in _QUERIES.items():
        api["paths"][path]["get"]["parameters"] += _query_parameters(query)
    api["paths"]["/v1/opt-outs/{number}"]["delete"]["parameters"] += _query_parameters(
        OptOutSelection
    )
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            if operation["security"]:
                operation["x-codeSamples"] = _samples(method, path, operation)
    return api


class _WithoutTitles(GenerateJsonSchema):
    """Makes schemas without the titles that pydantic derives from the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Return False: titles repeat the names."""
        return False


def _schemas(providers: Sequence[str]) -> dict[str, Any]:
    answers = [(shape.__name__, "serialization", TypeAdapter(shape)) for shape in SHAPES]
    requests = [(model.__name__, "validation", TypeAdapter(model)) for model in _REQUESTS]
    _, document = TypeAdapter.json_schemas(
        [*answers, *requests],  # type: ignore[list-item]
        ref_template=_REFERENCE,
        schema_generator=_WithoutTitles,
    )
    schemas: dict[str, Any] = dict(sorted(document["$defs"].items()))
    for schema in schemas.values():
        schema.pop("title", None)
    # The model accepts any name: the providers depend on the settings.
    schemas["NewMessage"]["properties"]["provider"]["anyOf"][0]["enum"] = list(providers)
    # An invalid message does not make the batch invalid: it gets its own result.
    schemas["NewBatch"]["properties"]["messages"]["items"] = {
        "anyOf": [{"$ref": _REFERENCE.format(model="NewMessage")}, {}]
    }
    schemas["WebhookEndpointChanges"] = _changes(schemas["NewWebhookEndpoint"])
    for name, event in (("Message", "MessageUpdated"), ("InboundMessage", "MessageReceived")):
        schemas[f"Webhook{name}"] = _without_content(schemas[name])
        data = schemas[event]["properties"]["data"]
        data["$ref"] = _REFERENCE.format(model=f"Webhook{name}")
    return schemas


def _without_content(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a message in a webhook: without `include_body` it has no content."""
    required = [name for name in schema["required"] if name not in CONTENT]
    return {**schema, "required": required}


def _changes(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of changes to an object: every field may be left out."""
    changed = {name: {**field} for name, field in schema["properties"].items()}
    for field in changed.values():
        field.pop("default", None)
    changes = {**schema, "description": "Fields to change.", "properties": changed}
    del changes["required"]
    return changes


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    schema = query.model_json_schema(ref_template=_REFERENCE, schema_generator=_WithoutTitles)
    return [_query_parameter(name, field) for name, field in schema["properties"].items()]


def _query_parameter(name: str, field: dict[str, Any]) -> dict[str, Any]:
    # A field is nullable in the model, where null means "not given".
    schema = dict(next(iter(field.get("anyOf", [field]))))
    schema.pop("description", None)
    schema |= {key: field[key] for key in ("format", "default") if field.get(key) is not None}
    parameter = {
        "name": name,
        "in": "query",
        "description": field.get("description", ""),
        "schema": schema,
    }
    # Several values are one text with commas.
    return parameter | ({"explode": False} if schema.get("type") == "array" else {})


def _samples(method: str, path: str, operation: dict[str, Any]) -> list[dict[str, str]]:
    """Return the operation's first example as a request in each language."""
    values = {"method": method.upper(), "path": path.format(**_IDS)}
    for parameter in operation["parameters"]:
        if parameter["name"] == "Idempotency-Key":
            values["key"] = parameter["example"]
    if "requestBody" in operation:
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        body = next(iter(examples.values()))["value"]
        values["body"] = json.dumps(body, indent=2, ensure_ascii=False).replace("\n", "\n  ")
    return [
        {
            "lang": language,
            "label": label,
            "source": render_template(f"samples/{label.lower()}.txt", **values),
        }
        for label, language in _LANGUAGES.items()
    ]
