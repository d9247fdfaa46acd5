"""Schemathesis checks that the application behaves as the OpenAPI document says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask_migrate import upgrade
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service.app import create_app
from service.database import db, schema
from tests.conftest import make_key, make_settings
from tests.fakes import FakeProvider

pytestmark = pytest.mark.slow

# What the words of the document's formats stand for: an address that exists, a time to come.
ADDRESSES = ("+14155552671", "+447911123456", "+1 (415) 555-2671", "whatsapp:+14155552671")
SENDERS = ("+15005550006", "72345", "ACME", "whatsapp:+15005550006")
schemathesis.openapi.format("address", st.sampled_from(ADDRESSES))
# Addresses: no name server is asked. Nothing is delivered.
WEBHOOK_URLS = ("https://8.8.8.8/hook", "https://[2001:4860:4860::8888]:8443/hook?a=1")
schemathesis.openapi.format("webhook-url", st.sampled_from(WEBHOOK_URLS))
schemathesis.openapi.format("account", st.just("default"))
schemathesis.openapi.format("sender", st.sampled_from(SENDERS))
schemathesis.openapi.format(
    "date-time",
    st.integers(min_value=10, max_value=34 * 24 * 60).map(
        lambda minutes: (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    ),
)
BEYOND_SCHEMAS = (
    "E.164 form",  # only the numbering plan says which numbers exist
    "has an unknown channel",
    "must be on the channel of to",
    "the default sender of",
    "at least one visible character",
    "must have at most 1600 characters",
    "must be an account of",  # the settings have the accounts
    "must be in the future",
    "must be later than send_at",
    "must be left out with validity_period",
    "must be at most 35 days in the future",
    "must have at most 4096 characters as JSON",
    "must have a host name",  # only a name server says which exist
    "must have a valid host name",
    "must have a port",
    "must be a URL such as",
    "must percent-encode",
    "no user name",
    "backslashes",
    "must be the id of a webhook endpoint of yours",
    "must start with https://",  # WEBHOOK_ALLOW_HTTP allows http://
    "must be in the past",
    "must be at most 30 days ago",
    "the next_cursor of an earlier answer",
    "a next_cursor of an earlier answer",
    "must be 'message.updated'",  # an empty list is sent as types=
)
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 20261121,
        "generation": {
            "max-examples": 30,
            "deterministic": True,
            "database": "none",
            "with-security-parameters": False,  # the test gives the key, or no key
        },
        # What was answered before must not decide what is asked next, or no run repeats another.
        "phases": {
            "coverage": {
                "generate-duplicate-query-parameters": True,
                "extra-data-sources": {"responses": False},
            },
            "fuzzing": {
                "extra-data-sources": {"responses": False},
                "error-feedback": {"enabled": False},
            },
        },
    }
)


class Replaceable:
    """A WSGI application in whose place another one may answer."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def __call__(self, environ: Any, start: Any) -> Any:
        return self.app(environ, start)


# Read while tests are collected, from an application without stores; `fuzzed` answers in its place.
# (The plugin's way to read it later, `from_fixture`, does not know pytest 9.2.)
ANSWERING = Replaceable(create_app(make_settings("sqlite:///unused.db", "redis://unused")))
API: Any = schemathesis.openapi.from_wsgi("/openapi.json", ANSWERING, config=CONFIG)


@pytest.fixture(scope="module")
def fuzzed(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application on SQLite: what is asked here does not depend on the database."""
    path: Path = tmp_path_factory.mktemp("fuzzing")
    app = create_app(
        make_settings(f"sqlite:///{path}/waybill.db", redis_url),
        providers={"twilio": FakeProvider()},
    )
    schema.prepare(app)
    with app.app_context():
        upgrade()
    ANSWERING.app = app
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def key_of_a_client(fuzzed: Flask) -> str:
    return make_key(fuzzed, "billing")


@API.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_match_the_openapi_document(case: Any, key_of_a_client: str) -> None:
    headers = {"Authorization": f"Bearer {key_of_a_client}"}
    shorten_wait(case)
    response = case.call(headers=headers)
    excused = [positive_data_acceptance] if refused_beyond_schemas(response) else []
    case.validate_response(response, headers=headers, excluded_checks=excused)


def shorten_wait(case: Any) -> None:
    """Let no example wait for up to 25 s for an event that does not come."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, int | float) and 0 < wait <= 25:
        case.query["wait"] = 0.01


def refused_beyond_schemas(response: Any) -> bool:
    """Return whether a request was refused only by rules that no schema can express."""
    if response.status_code != 422:
        return False
    messages = {error["message"] for error in response.json()["errors"]}
    return all(any(rule in message for rule in BEYOND_SCHEMAS) for message in messages)
