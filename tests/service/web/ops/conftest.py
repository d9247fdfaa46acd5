"""An operator in front of the pages, without and with a browser."""

import re
from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.components import components
from service.operations import overview

BASE = "https://localhost"


def apart(ask: Callable[..., TestResponse], *args: Any, **more: Any) -> TestResponse:
    """Ask outside the test's own application context: a request has one of its own, and its `g`."""
    return Context().run(ask, *args, **more)


class Operator:
    """Somebody with a session, who sends forms with their token as a browser would."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **more: Any) -> TestResponse:
        return apart(self.client.get, f"/ops{path}", base_url=BASE, **more)

    def post(self, path: str, token: str | None = None, **form: Any) -> TestResponse:
        given = {"csrf_token": self.token() if token is None else token, **form}
        back = {"Referer": f"{BASE}/ops/"}
        return apart(self.client.post, f"/ops{path}", data=given, base_url=BASE, headers=back)

    def token(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/login").text)
        assert found
        return found[1]

    def log_in(self, key: str, **form: str) -> TestResponse:
        return self.post("/login", key=key, **form)


def make_operator_key(app: Flask, name: str) -> str:
    made = app.test_cli_runner().invoke(args=["operators", "create", name])
    assert made.exit_code == 0, made.output
    return made.output.strip()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look take as long as it takes: what is left out depends on the machine."""
    monkeypatch.setattr(overview, "_HURRY", 60.0)


@pytest.fixture
def operator_key(app: Flask) -> str:
    return make_operator_key(app, "ada")


@pytest.fixture
def stranger(app: Flask) -> Operator:
    return Operator(app)


@pytest.fixture
def operator(app: Flask, operator_key: str) -> Operator:
    someone = Operator(app)
    assert someone.log_in(operator_key).status_code == 303
    return someone


@pytest.fixture
def look(operator: Operator) -> Callable[[], str]:
    """Look at the overview as it is now, and not at what was kept of it."""

    def looked() -> str:
        with operator.client.application.app_context():
            components().cache.release("overview")
        return operator.get("/live").text

    return looked
