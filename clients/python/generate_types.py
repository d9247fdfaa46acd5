"""Writes `waybill_client/types.py` from an OpenAPI document: generate_types.py < openapi.json."""

import json
import sys
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import Any, Final

_TARGET: Final = Path(__file__).parent / "waybill_client/types.py"
_HEAD: Final = '''"""Requests and answers of the API. Made by `generate_types.py`; do not edit."""

from typing import Any, Literal, NotRequired, TypedDict
'''
_PRIMITIVES: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}
# The parameters of these lists become types of keyword arguments.
_FILTERS: Final = {
    "MessageFilters": "/v1/messages",
    "InboundFilters": "/v1/inbound",
    "OptOutFilters": "/v1/opt-outs",
    "DeliveryFilters": "/v1/webhook-endpoints/{endpoint_id}/deliveries",
}
_PROBES: Final = {"Alive", "Ready"}  # of load balancers, not of clients
_WIDTH: Final = 100

Schema = Mapping[str, Any]


def module(document: Schema) -> str:
    """Return the source of the module of types."""
    schemas = document["components"]["schemas"]
    names = [name for name in _in_order(schemas) if name not in _PROBES]
    parts = [_definition(name, schemas[name]) for name in names]
    for name, path in _FILTERS.items():
        if path in document["paths"]:
            parts.append(_definition(name, _filters(document["paths"][path]["get"])))
    return "\n".join([_HEAD, "\n\n".join(parts)])


def _in_order(schemas: Schema) -> list[str]:
    """Return the names, those that others mention first."""
    ordered = dict[str, None]()

    def add(name: str) -> None:
        if name not in ordered:
            for mentioned in _mentions(schemas[name]):
                add(mentioned)
            ordered[name] = None

    for name in sorted(schemas):
        add(name)
    return list(ordered)


def _mentions(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield _name(value)
        for item in value.values():
            yield from _mentions(item)
    elif isinstance(value, list):
        for item in value:
            yield from _mentions(item)


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _filters(operation: Schema) -> Schema:
    fields = {
        each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "query"
    }
    fields.pop("cursor", None)
    return {"description": "Filters of a list.", "type": "object", "properties": fields}


def _definition(name: str, schema: Schema) -> str:
    if "properties" not in schema:
        return _alias(name, _type(schema))
    required = set(schema.get("required", ()))
    fields = {
        field: _type(_without_providers(field, value), optional=field not in required)
        for field, value in schema["properties"].items()
    }
    reserved = {field: kind for field, kind in fields.items() if iskeyword(field)}
    before, base = "", "TypedDict"
    if reserved:  # only the functional form can have such a field
        base = f"_{name}"
        listed = ", ".join(f'"{field}": {kind}' for field, kind in reserved.items())
        before = f'{base} = TypedDict("{base}", {{{listed}}})\n\n\n'
    summary = schema.get("description", name).partition(". ")[0].rstrip(".").replace("\n", " ")
    body = [f'    """{summary}."""', ""]
    body += [f"    {field}: {kind}" for field, kind in fields.items() if field not in reserved]
    return f"{before}class {name}({base}):\n" + "\n".join(body).rstrip() + "\n"


def _alias(name: str, kind: str) -> str:
    line = f"{name} = {kind}\n"
    if len(line) <= _WIDTH:
        return line
    members = "".join(f"    {each},\n" for each in kind[len("Literal[") : -1].split(", "))
    return f"{name} = Literal[\n{members}]\n"


def _without_providers(field: str, schema: Schema) -> Schema:
    """Return the schema without names of providers, which depend on the server's settings."""
    if field != "provider" or "anyOf" not in schema:
        return schema
    return {"anyOf": [{**each, "enum": None} for each in schema["anyOf"]]}


def _type(schema: Schema, *, optional: bool = False) -> str:
    if optional:
        return f"NotRequired[{_type(schema)}]"
    if "$ref" in schema:
        return _name(schema)
    if values := schema.get("enum"):
        return f"Literal[{', '.join('None' if v is None else json.dumps(v) for v in values)}]"
    if "const" in schema:
        return f"Literal[{json.dumps(schema['const'])}]"
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if schema.get("type") == "object":
        return f"dict[str, {_values(schema)}]"
    return _PRIMITIVES.get(schema.get("type", ""), "Any")


def _values(schema: Schema) -> str:
    """Return the type of the values of an object with any names."""
    patterns = list(schema.get("patternProperties", {}).values())
    values = patterns[0] if patterns else schema.get("additionalProperties", {})
    return _type(values) if isinstance(values, Mapping) else "Any"


if __name__ == "__main__":
    _TARGET.write_text(module(json.load(sys.stdin)), "utf-8")
