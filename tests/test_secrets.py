"""Secrets are sent down every path, and the output is searched for them."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from flask import Flask
from flask.testing import FlaskClient

from service.errors import NotAccepted, OutcomeUnknown, Refused
from service.observability import logging as logs
from service.reconciliation import poll
from service.recording import consume_inbox
from service.sending import deliver
from tests.conftest import make_settings
from tests.fakes import FakeProvider, fake_signature
from tests.messages import Post
from tests.worker.test_app import ENVIRONMENT

ROOT = Path(__file__).parents[1]
NUMBER, BODY = "+14155552671", "Your code is hunter2"
TOKEN, DATABASE, REDIS = "twilio-token-hunter2", "database-hunter2", "redis-hunter2"
LOUD = f"{BODY} {NUMBER} %2B14155552671 {TOKEN} redis://:{REDIS}@cache"
PATH = f"/callbacks/twilio/{UUID(int=7)}"

Output = Callable[[], str]


@pytest.fixture
def output(app: Flask, capfd: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """Everything that was written at the most talkative level."""
    settings = make_settings(
        f"postgresql://waybill:{DATABASE}@db/waybill",
        f"redis://:{REDIS}@cache",
        TWILIO_AUTH_TOKEN=TOKEN,
        LOG_LEVEL="DEBUG",
    )
    logs.configure(settings)

    def read() -> str:
        written = capfd.readouterr()
        return written.out + written.err

    yield read
    logs.configure(make_settings("sqlite:///unused.db", "redis://127.0.0.1:1"))


def assert_silent(output: str, *also: str) -> None:
    for secret in ("hunter2", "4155552671", *also):
        assert secret not in output, output


def post_all(web: FlaskClient) -> None:
    message = {"to": NUMBER, "body": BODY, "metadata": {"note": BODY}, "reference": BODY}
    web.post("/v1/messages", json=message, headers={"Idempotency-Key": BODY})
    web.post("/v1/messages", json={**message, "to": BODY})
    web.post("/v1/messages/batch", json={"messages": [message, {"to": NUMBER}]})
    web.post("/v1/messages", data=LOUD)
    web.get(f"/v1/messages?to={NUMBER}&reference={BODY}")
    web.get(f"/{NUMBER}", headers={"X-Request-ID": NUMBER})


def test_posts_log_no_secrets(web: FlaskClient, key: str, output: Output) -> None:
    post_all(web)

    written = output()
    assert '"accepted"' in written
    assert_silent(written, key)


@pytest.mark.parametrize("error", [Refused, NotAccepted, OutcomeUnknown, RuntimeError])
def test_failed_send_logs_no_secrets(
    post: Post, provider: FakeProvider, output: Output, error: type[Exception]
) -> None:
    def fail(_: object) -> Any:
        raise error(LOUD)

    provider.script = fail
    message_id = post(to=NUMBER, body=BODY)
    deliver.deliver()
    poll.reconcile([message_id])

    written = output()
    assert str(message_id) in written
    assert_silent(written)


@pytest.mark.parametrize("body", [f"MessageStatus=sent&To={NUMBER}&Body={BODY}", "poison"])
def test_callback_and_dead_letter_log_no_secrets(
    context: Flask, output: Output, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    def fail(_self: object, _callback: object) -> Any:
        raise ValueError(LOUD)

    if body == "poison":
        monkeypatch.setattr(FakeProvider, "parse", fail)
    signed = {"X-Fake-Signature": fake_signature(PATH, body.encode())}
    answer = context.test_client().post(PATH, data=body.encode(), headers=signed)
    assert answer.status_code == 204
    consume_inbox.consume_inbox()

    written = output()
    assert ('"dead letter"' if body == "poison" else '"recorded"') in written
    assert_silent(written)


def test_forged_callback_logs_no_secrets(app: Flask, output: Output) -> None:
    for path in (PATH, f"/callbacks/twilio/{NUMBER}", f"/callbacks/twilio/{TOKEN}/{NUMBER}"):
        forged = {"X-Fake-Signature": TOKEN, "Authorization": f"Basic {TOKEN}"}
        assert app.test_client().post(path, data=LOUD, headers=forged).status_code == 403

    written = output()
    assert written.count('"invalid signature"') == 3
    assert_silent(written)


def test_unexpected_exception_logs_no_secrets(
    web: FlaskClient, key: str, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise ValueError(LOUD)

    monkeypatch.setattr("service.web.api.messages.accept", fail)
    answer = web.post("/v1/messages", json={"to": NUMBER, "body": BODY})
    assert answer.status_code == 500

    written = output()
    assert "builtins.ValueError" in written
    assert_silent(written, key)


def test_failed_task_logs_no_secrets(output: Output) -> None:
    celery = Celery("tests", set_as_current=False)

    @celery.task(name="tests.fail", shared=False)  # type: ignore[untyped-decorator]
    def fail() -> None:
        raise ValueError(LOUD)

    fail.apply()

    written = output()
    assert "tests.fail" in written
    assert "builtins.ValueError" in written
    assert_silent(written)


def test_secrets_are_removed_from_library_logs(output: Output) -> None:
    for words in (f"GET /?To=%2B14155552671 {TOKEN}", f"AUTH {REDIS}", f"connect {DATABASE}"):
        logging.getLogger("library").warning(words)

    assert_silent(output())


@pytest.mark.slow
def test_invalid_settings_show_no_secrets() -> None:
    wrong = {
        "DATABASE_URL": f"mysql://waybill:{DATABASE}@db",
        "REDIS_URL": f"http://:{REDIS}@cache",
        "TWILIO_ACCOUNT_SID": TOKEN,
        "SENTRY_DSN": f"{TOKEN}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{TOKEN}@collector",
    }
    for module in ("wsgi", "worker.app"):
        ended = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            cwd=ROOT,
            env={**ENVIRONMENT, **wrong},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode != 0
        assert "SENTRY_DSN" in ended.stderr
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in ended.stderr
        assert_silent(ended.stdout + ended.stderr)
