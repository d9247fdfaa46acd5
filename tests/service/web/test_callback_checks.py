"""Operators see within a minute that a wrong setting refuses callbacks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from redis import Redis
from twilio.request_validator import RequestValidator

from demo.servers import free_port
from service.app import create_app
from service.coordination.callback_checks import CallbackChecks, Refusals
from service.database import db
from service.operations.overview import read_overview
from service.web.ops.problems import find_problems
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_settings
from tests.service.web.ops.conftest import Operator, make_operator_key

OLD = "https://old.example.com"
PATH = f"/callbacks/twilio/{UUID(int=7)}"
FORM = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "0" * 32, "MessageStatus": "sent"}
LINE = "all callbacks of twilio are refused: the token does not match"


@contextmanager
def running(database_url: str, redis_url: str, **changes: Any) -> Iterator[Flask]:
    app = create_app(make_settings(database_url, redis_url, **changes))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def replica(app: Flask, database_url: str, redis_url: str) -> Iterator[Flask]:
    with running(database_url, redis_url) as replica:
        yield replica


@pytest.fixture
def other(app: Flask, database_url: str, redis_url: str) -> Iterator[Flask]:
    with running(database_url, redis_url) as other:
        yield other


def call_back(app: Flask, token: str = TOKEN, base: str = BASE_URL, **form: str) -> int:
    fields = {**FORM, **form}
    signed = RequestValidator(token).compute_signature(base + PATH, fields)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signed,
    }
    answer = app.test_client().post(PATH, data=urlencode(fields), headers=headers)
    return answer.status_code


def told(app: Flask) -> list[str]:
    """Return what the page of operators says of refused callbacks."""
    with app.app_context():
        problems = find_problems(read_overview())
    texts = [f"{problem.summary}. {problem.advice}" for problem in problems]
    return [text for text in texts if "refused" in text]


def test_mismatched_token_is_shown_on_the_page(replica: Flask, other: Flask) -> None:
    for _ in range(3):
        assert call_back(replica, token="the secondary token") == 403
    [sentence] = told(other)  # another process shows the page
    assert "All callbacks of twilio are refused: the token does not match" in sentence
    assert "none accepted" in sentence
    assert "TWILIO_AUTH_TOKEN" in sentence
    assert "PUBLIC_BASE_URL" in sentence
    assert "(3 refused in the last minute" in told(replica)[0]


def test_refused_callbacks_are_shown_to_operators(replica: Flask) -> None:
    call_back(replica, token="the secondary token")
    operator = Operator(replica)
    operator.log_in(make_operator_key(replica, "ada"))
    page = operator.get("/").text
    assert "the token does not match" in page


def test_refused_callbacks_are_logged_once_a_minute(
    replica: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "service.coordination.callback_checks")
    for _ in range(5):
        call_back(replica, token="the secondary token")
    texts = [record.getMessage() for record in caplog.records]
    lines = [text for text in texts if LINE in text]
    assert len(lines) == 1
    assert "1 refused, none accepted" in lines[0]
    assert "TWILIO_AUTH_TOKEN" in lines[0]


def test_forged_callbacks_are_hidden_while_valid_ones_arrive(
    replica: Flask, other: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    assert call_back(replica) == 204
    assert call_back(replica, token="guessed") == 403
    assert call_back(other, token="guessed") == 403
    assert told(replica) == told(other) == []


@pytest.mark.parametrize("form", [{"AccountSid": "AC" + "9" * 32}, {"AccountSid": ""}])
def test_unsigned_callbacks_are_not_shown(replica: Flask, form: dict[str, str]) -> None:
    assert call_back(replica, token="guessed", **form) == 403
    assert replica.test_client().post(PATH, data="garbage").status_code == 403
    assert told(replica) == []


def test_callback_checks_limit_writes_to_redis(redis_url: str, app: Flask) -> None:
    redis = Redis.from_url(redis_url)
    breaker = app.extensions["waybill"].cache._breaker
    counts = CallbackChecks(redis, breaker)
    before = redis.info("commandstats").get("cmdstat_hincrby", {"calls": 0})["calls"]
    for _ in range(1000):
        counts.accepted("twilio")
    after = redis.info("commandstats")["cmdstat_hincrby"]["calls"]
    assert after - before == 1
    assert counts.all_refused() == []
    redis.close()


def test_callbacks_are_verified_without_redis(
    app: Flask, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(database_url, f"redis://127.0.0.1:{free_port()}/0") as replica:
        assert call_back(replica, token="guessed") == 403
        assert call_back(replica) == 204
    assert LINE in caplog.text


def test_refusals_are_counted_by_reason(redis_url: str, app: Flask) -> None:
    bound = app.extensions["waybill"]
    advice = bound.providers["twilio"].refusal_advice()["mismatch"]
    counts = bound.callback_checks
    for reason in ("mismatch", "mismatch", "stale"):
        counts.refused("sinch", reason, advice)
    counts.refused("twilio", "mismatch", advice)
    counts.accepted("twilio")
    assert counts.all_refused() == [
        Refusals("sinch", "mismatch", 2),
        Refusals("sinch", "stale", 1),
    ]


# Addresses


@pytest.fixture
def moved(app: Flask, database_url: str, redis_url: str) -> Iterator[Flask]:
    """Waybill at a new address, with messages out that were given the old one."""
    with running(database_url, redis_url, PUBLIC_BASE_URL=f"{BASE_URL},{OLD}") as moved:
        yield moved


@pytest.mark.parametrize("base", [BASE_URL, OLD, f"{OLD}:443"])
def test_callbacks_to_accepted_urls_are_stored(moved: Flask, base: str) -> None:
    assert call_back(moved, base=base) == 204


@pytest.mark.parametrize("base", ["https://older.example.com", "http://old.example.com"])
def test_callbacks_to_other_urls_are_refused(moved: Flask, base: str) -> None:
    assert call_back(moved, base=base) == 403
