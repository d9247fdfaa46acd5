"""Operators with and without a session, the overview without its cache, and a webhook endpoint."""

import re
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.operations import overview as operations
from service.web.ops import overview
from tests.conftest import make_key
from tests.service.webhooks.conftest import allowed  # noqa: F401 - a fixture
from tests.service.webhooks.receiver import Receiver, receiver

BASE = "https://localhost"


def in_own_context(
    request: Callable[..., TestResponse], *args: Any, **options: Any
) -> TestResponse:
    """Send a request outside of the test's application context: it has its own, and its own `g`."""
    return Context().run(request, *args, **options)


class Operator:
    """A client that keeps cookies and sends forms with their token, as a browser does."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        overview.init_app(app)  # its cache may hold the overview of the previous test

    def get(self, path: str, **options: Any) -> TestResponse:
        return in_own_context(self.client.get, f"/ops{path}", base_url=BASE, **options)

    def post(self, path: str, token: str | None = None, **form: Any) -> TestResponse:
        data = {"csrf_token": self.token() if token is None else token, **form}
        headers = {"Referer": f"{BASE}/ops/"}
        return in_own_context(
            self.client.post, f"/ops{path}", data=data, base_url=BASE, headers=headers
        )

    def token(self) -> str:
        match = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/login").text)
        assert match
        return match[1]

    def log_in(self, key: str, **form: str) -> TestResponse:
        return self.post("/login", key=key, **form)


def make_operator_key(app: Flask, name: str) -> str:
    result = app.test_cli_runner().invoke(args=["operators", "create", name])
    assert result.exit_code == 0, result.output
    return result.output.strip()


@pytest.fixture(autouse=True)
def unlimited_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count every minute: how many are counted in time depends on the machine."""
    monkeypatch.setattr(operations, "_COUNTING_SECONDS", 60.0)


@pytest.fixture
def operator_key(app: Flask) -> str:
    return make_operator_key(app, "ada")


@pytest.fixture
def stranger(app: Flask) -> Operator:
    return Operator(app)


@pytest.fixture
def operator(app: Flask, operator_key: str) -> Operator:
    operator = Operator(app)
    assert operator.log_in(operator_key).status_code == 303
    return operator


@pytest.fixture
def fresh_overview(operator: Operator) -> Callable[[], str]:
    """Return the overview, rendered anew."""

    def read() -> str:
        overview.init_app(operator.client.application)  # with an empty cache
        return operator.get("/live").text

    return read


class Subscriber(NamedTuple):
    """A webhook endpoint of a client, and what it received."""

    id: UUID
    books: Receiver


@pytest.fixture
def subscriber(
    context: Flask, client_id: int, request: pytest.FixtureRequest
) -> Iterator[Subscriber]:
    """A webhook endpoint on loopback for delivered messages of a client; it answers 500."""
    request.getfixturevalue("allowed")
    headers = {"Authorization": f"Bearer {make_key(context, 'payments')}"}
    with receiver() as books:
        books.answer = lambda _: (500, {})
        fields = {"url": f"{books.url}?token=hidden", "statuses": ["delivered"]}
        post = context.test_client().post
        answer = in_own_context(post, "/v1/webhook-endpoints", json=fields, headers=headers)
        assert answer.json
        yield Subscriber(UUID(answer.json["id"]), books)
