"""The OpenAPI document: the routes of the application, in the shapes that validate and answer.

``operations`` says of each route what no code could; ``components`` makes the shapes from the
models and the errors from their classes; ``examples`` and ``samples`` show them in use.
"""

import re
from typing import Any, Final

from flask import Flask
from werkzeug.routing import Rule

from service.web.api.drafts import real_providers
from service.web.openapi import components, samples
from service.web.openapi.operations import OPERATIONS, OUTSIDE, TAGS, Operation

_ABOUT: Final = (
    "Waybill sends SMS for internal services and knows what became of each message. "
    "Post a message once, under an `Idempotency-Key`; read its status until it is `final`. "
    "Every error is a problem document (RFC 9457)."
)
_VARIABLE: Final = re.compile(r"<(?:\w+:)?(\w+)>")


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of this application. Raises KeyError for a route it lacks."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if not {rule.endpoint, rule.endpoint.partition(".")[0]} & OUTSIDE:
                path = _VARIABLE.sub(r"{\1}", rule.rule)
                paths.setdefault(path, {})[method.lower()] = _operation(path, method, rule)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Waybill", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": says} for name, says in TAGS.items()],
        "paths": {path: paths[path] for path in sorted(paths, key=_place)},
        "components": components.components(sorted(real_providers(app))),
    }


def _operation(path: str, method: str, rule: Rule) -> dict[str, Any]:
    known = OPERATIONS[rule.endpoint]
    variables = [components.variable(name) for name in _VARIABLE.findall(rule.rule)]
    suffix, qualification = _variant(rule)
    found: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2] + suffix,
        "tags": [known.tag],
        "summary": known.summary + qualification,
        "description": known.description,
        "parameters": [*variables, *known.parameters],
        "responses": {**_answers(known), **components.refusals(known.refusals)},
        "security": [{"key": []}] if known.needs_key else [],
    }
    if known.body is not None:
        found["requestBody"] = {"required": True, "content": known.body}
    if known.needs_key:
        found["x-codeSamples"] = samples.of(method, path, known)
    return found


def _variant(rule: Rule) -> tuple[str, str]:
    """Return what tells the routes of one view apart: in the id, and in words."""
    if rule.defaults:
        return "_sid", ", without an attempt"
    if "secret" in rule.arguments:
        return "_secret", ", of a provider that cannot sign"
    return "", ""


def _answers(known: Operation) -> dict[str, Any]:
    return {str(status): answer for status, answer in known.answers.items()}


def _place(path: str) -> tuple[int, str]:
    """Order paths as they are read: what clients use first, the rest after."""
    return (0 if path.startswith("/v1") else 1, path)
