"""The document is that of this application: its routes, its examples, its refusals."""

import json
import re
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from service.errors import ClientError, Unavailable
from service.web.errors import DATABASE_UNAVAILABLE, problem

# The document does not depend on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")

SOME_ID = UUID(int=7)
METHODS = {"get", "post", "put", "patch", "delete"}
# Blueprints and endpoints that are not part of the API.
OUTSIDE = {"ops", "metrics", "docs.page"}


@pytest.fixture
def api(app: Flask) -> dict[str, Any]:
    answer = app.test_client().get("/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return dict(answer.json or {})


def operations(api: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def test_document_is_valid_openapi(api: dict[str, Any]) -> None:
    assert api["openapi"] == "3.1.0"
    validate(api)


def is_outside(endpoint: str) -> bool:
    return bool({endpoint, endpoint.partition(".")[0]} & OUTSIDE)


def test_document_has_exactly_the_routes(app: Flask, api: dict[str, Any]) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if not is_outside(rule.endpoint)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(operations(api)) == routes


def test_operation_ids_are_unique(api: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(api).values()]
    assert len(names) == len(set(names))


def test_examples_match_their_schemas(api: dict[str, Any]) -> None:
    seen = 0
    for content in contents(api):
        shown = [example["value"] for example in content.get("examples", {}).values()]
        for example in [*shown, *([content["example"]] if "example" in content else [])]:
            schema = {**content["schema"], "components": api["components"]}
            Draft202012Validator(schema).validate(example)
            seen += 1
    assert seen > 15


def contents(node: Any) -> list[dict[str, Any]]:
    """Return every media type of the document."""
    if isinstance(node, list):
        return [content for item in node for content in contents(item)]
    if not isinstance(node, dict):
        return []
    below = [content for value in node.values() for content in contents(value)]
    return [*(node["content"].values() if "content" in node else []), *below]


def request_examples(api: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the example requests of a POST by name."""
    body = api["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return {name: example["value"] for name, example in body["examples"].items()}


@pytest.mark.parametrize("name", ["text", "template"])
def test_example_messages_are_accepted(web: FlaskClient, api: dict[str, Any], name: str) -> None:
    example = request_examples(api, "/v1/messages")[name]
    assert web.post("/v1/messages", json=example).status_code == 202


def test_example_batch_gets_the_example_answer(web: FlaskClient, api: dict[str, Any]) -> None:
    batch = request_examples(api, "/v1/messages/batch")["mixed"]
    answer = web.post("/v1/messages/batch", json=batch).json
    documented = api["paths"]["/v1/messages/batch"]["post"]["responses"]["202"]
    shown = documented["content"]["application/json"]["examples"]["mixed"]["value"]
    assert answer is not None
    assert [result["status"] for result in answer["results"]] == [202, 422]
    assert answer["results"][1] == shown["results"][1]


def test_links_of_an_accepted_message_work(web: FlaskClient, api: dict[str, Any]) -> None:
    example = request_examples(api, "/v1/messages")["text"]
    posted = web.post("/v1/messages", json=example).json or {}
    documented = api["paths"]["/v1/messages"]["post"]["responses"]["202"]["links"]
    by_name = {operation["operationId"]: key for key, operation in operations(api).items()}
    assert set(documented) == {"get", "events", "post_cancel"}
    for link in documented.values():
        assert link["parameters"] == {"message_id": "$response.body#/id"}
        method, path = by_name[link["operationId"]]
        answer = web.open(path.replace("{message_id}", posted["id"]), method=method.upper())
        schema = answer_schema(api, method, path)
        assert answer.status_code == 200
        Draft202012Validator({**schema, "components": api["components"]}).validate(answer.json)


def answer_schema(api: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """Return the shape of the answer that is no refusal."""
    answered = api["paths"][path][method]["responses"]["200"]
    schema: dict[str, Any] = answered["content"]["application/json"]["schema"]
    return schema


def refused(web: FlaskClient, status: int) -> Any:
    """Provoke a refusal."""
    hello = {"to": "+14155552671", "body": "Hello"}
    if status == 400:
        return web.post("/v1/messages", data=b"{", content_type="application/json")
    if status == 401:
        return web.get("/v1/messages", headers={"Authorization": "Bearer wb_unknown"})
    if status == 404:
        return web.get(f"/v1/messages/{SOME_ID}")
    if status == 409:
        once = {"Idempotency-Key": "once"}
        web.post("/v1/messages", json=hello, headers=once)
        return web.post("/v1/messages", json={**hello, "body": "Bye"}, headers=once)
    if status == 413:
        return web.post("/v1/messages", json=hello, environ_overrides={"CONTENT_LENGTH": "9" * 9})
    assert status == 422
    return web.post("/v1/messages", json={**hello, "sendat": 1})


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422])
def test_error_equals_its_example(web: FlaskClient, api: dict[str, Any], status: int) -> None:
    answer = refused(web, status)
    assert answer.status_code == status
    [documented] = [
        response
        for response in api["components"]["responses"].values()
        if response["content"]["application/problem+json"]["example"]["status"] == status
    ]
    assert json.loads(answer.data) == documented["content"]["application/problem+json"]["example"]
    assert set(documented["headers"]) <= set(answer.headers.keys())


def test_503_example_is_that_of_the_database(api: dict[str, Any]) -> None:
    documented = api["components"]["responses"]["ServiceUnavailable"]
    example = documented["content"]["application/problem+json"]["example"]
    assert example == problem(Unavailable(DATABASE_UNAVAILABLE))


def test_every_client_error_is_described(api: dict[str, Any]) -> None:
    documented = {
        response["content"]["application/problem+json"]["example"]["status"]
        for response in api["components"]["responses"].values()
    }
    kinds = {kind.status for kind in (ClientError, *ClientError.__subclasses__())}
    assert kinds <= documented


def test_document_is_not_sent_again_with_its_etag(app: Flask) -> None:
    first = app.test_client().get("/openapi.json")
    etag = first.headers["ETag"]
    again = app.test_client().get("/openapi.json", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    other = app.test_client().get("/openapi.json", headers={"If-None-Match": '"another"'})
    assert (other.status_code, other.data) == (200, first.data)


def test_document_is_equal_in_every_process(app: Flask) -> None:
    """Else a client behind several web servers would read it anew each time."""
    first = app.test_client().get("/openapi.json").data
    del app.extensions["waybill_docs"]
    assert app.test_client().get("/openapi.json").data == first
