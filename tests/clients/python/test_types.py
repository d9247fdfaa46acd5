"""The types of the client are those of the OpenAPI document."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.clients.python.openapi_document import document

CLIENT = Path(__file__).parents[3] / "clients/python"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_types", CLIENT / "generate_types.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_types_are_generated_from_the_document() -> None:
    shown = (CLIENT / "waybill_client/types.py").read_text()
    assert shown == generator().module(document()), "run `make api-types`"


def test_every_kind_of_schema_becomes_a_type() -> None:
    def source(schema: Any) -> str:
        schemas = {"A": {"type": "object", "required": ["f"], "properties": {"f": schema}}}
        module: str = generator().module({"components": {"schemas": schemas}, "paths": {}})
        return module.rpartition("    f: ")[2].strip()

    assert source({"type": "string", "format": "uuid"}) == "str"
    assert source({"anyOf": [{"type": "integer"}, {"type": "null"}]}) == "int | None"
    assert source({"type": "array", "items": {"type": "number"}}) == "list[float]"
    assert source({"type": "object", "additionalProperties": True}) == "dict[str, Any]"
    assert source({"type": "object", "patternProperties": {".": {"type": "boolean"}}}) == (
        "dict[str, bool]"
    )
    assert source({"type": "string", "enum": ["a", None]}) == 'Literal["a", None]'
    assert source({"const": 202}) == "Literal[202]"
    assert source({}) == "Any"
