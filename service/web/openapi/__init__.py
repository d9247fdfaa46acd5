"""Make the OpenAPI document from the routes, models and errors of the application.

``operations`` describes each route; ``components`` makes schemas from the models and ``errors`` the
error responses; ``examples`` and ``samples`` show requests and answers.
"""

import re
from typing import Any, Final

from flask import Flask
from werkzeug.routing import Rule

from service.web.api.drafts import real_providers
from service.web.openapi import components, errors, samples
from service.web.openapi.operations import OPERATIONS, OUTSIDE, TAGS, Operation

_ABOUT: Final = (
    "Waybill sends SMS for internal services and records the outcome of each message. "
    "Post a message with an `Idempotency-Key`, then read its status until it is `final`. "
    "Every error is a problem document (RFC 9457)."
)
_VARIABLE: Final = re.compile(r"<(?:\w+:)?(\w+)>")


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document. Raises KeyError for a route without a description."""
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
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": {path: paths[path] for path in sorted(paths, key=_position)},
        "components": components.components(sorted(real_providers(app))),
    }


def _operation(path: str, method: str, rule: Rule) -> dict[str, Any]:
    operation = OPERATIONS[rule.endpoint]
    variables = [components.path_parameter(name) for name in _VARIABLE.findall(rule.rule)]
    suffix, variant = _variant(rule)
    described: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2] + suffix,
        "tags": [operation.tag],
        "summary": operation.summary + variant,
        "description": operation.description,
        "parameters": [*variables, *operation.parameters],
        "responses": {**_answers(operation), **errors.references(operation.errors)},
        "security": [{"key": []}] if operation.needs_key else [],
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": operation.body}
    if operation.needs_key:
        described["x-codeSamples"] = samples.code_samples(method, path, operation)
    return described


def _variant(rule: Rule) -> tuple[str, str]:
    """Return suffixes of operationId and summary that distinguish the routes of one view."""
    if rule.defaults:
        return "_sid", ", without an attempt"
    if "secret" in rule.arguments:
        return "_secret", ", of a provider that cannot sign"
    return "", ""


def _answers(operation: Operation) -> dict[str, Any]:
    return {str(status): answer for status, answer in operation.answers.items()}


def _position(path: str) -> tuple[int, str]:
    """Return a sort key that puts the paths for clients first."""
    return (0 if path.startswith("/v1") else 1, path)
