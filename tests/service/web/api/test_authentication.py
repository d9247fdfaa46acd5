"""Who is asking: keys live side by side, and a revoked one is dead at once."""

from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import make_key

SOME_ID = UUID(int=7)
ROUTES = [
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/batch"),
    ("GET", "/v1/messages"),
    ("GET", f"/v1/messages/{SOME_ID}"),
    ("GET", f"/v1/messages/{SOME_ID}/events"),
    ("POST", f"/v1/messages/{SOME_ID}/cancel"),
]


def listed(app: Flask, authorization: str | None) -> TestResponse:
    headers = {} if authorization is None else {"Authorization": authorization}
    return app.test_client().get("/v1/messages", headers=headers)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_requires_a_key(app: Flask, method: str, path: str) -> None:
    """Not even what is wrong with the request."""
    answer = app.test_client().open(path, method=method, data=b"not JSON")
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="waybill"'


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_scheme_is_case_insensitive(app: Flask, key: str, scheme: str) -> None:
    assert listed(app, f"{scheme} {key}").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer unknown",
        "Bearer \xe9\xff",
        "Bearer " + "x" * 10_000,
        "Basic YmlsbGluZzo=",
        "{key}",
        "Basic {key}",
        "Bearer {key}x",
        "Bearer x{key}",
        "Bearer {KEY}",
    ],
)
def test_invalid_authorization_is_refused(app: Flask, key: str, authorization: str | None) -> None:
    presented = authorization and authorization.format(key=key, KEY=key.swapcase())
    assert listed(app, presented).status_code == 401


def test_refusal_does_not_repeat_the_key(app: Flask) -> None:
    assert "wb_stolen" not in listed(app, "Bearer wb_stolen").get_data(as_text=True)


def test_client_may_have_several_live_keys(app: Flask, key: str) -> None:
    other = make_key(app, "billing")
    posted = app.test_client().post(
        "/v1/messages",
        json={"to": "+14155552671", "body": "Hello"},
        headers={"Authorization": f"Bearer {key}"},
    )
    read = app.test_client().get(
        posted.headers["Location"], headers={"Authorization": f"Bearer {other}"}
    )
    assert read.json == posted.json


def test_revoked_key_is_refused_and_other_keys_work(app: Flask, web: FlaskClient, key: str) -> None:
    other = make_key(app, "billing")
    assert web.get("/v1/messages").status_code == 200

    [line] = [
        line
        for line in app.test_cli_runner().invoke(args=["clients", "list"]).output.splitlines()
        if key[:8] in line
    ]
    app.test_cli_runner().invoke(args=["clients", "revoke", line.split()[0]])

    assert web.get("/v1/messages").status_code == 401
    assert listed(app, f"Bearer {other}").status_code == 200


def test_keys_are_long_random_and_prefixed(app: Flask) -> None:
    keys = {make_key(app, "billing") for _ in range(10)}
    assert len(keys) == 10
    assert all(key.startswith("wb_") and len(key) == 46 for key in keys)
