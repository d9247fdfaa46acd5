"""Reports to Sentry: event, ids, types and frames, and no data of requests."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stand import Stand, standing
from tests.worker.test_app import ENVIRONMENT

ROOT = Path(__file__).parents[3]
NUMBER, BODY, KEY = "+14155552671", "Your code is hunter2", "wb_hunter2hunter2hunter2hunter2"
FAILING = """
import sentry_sdk
from flask import request
from service.observability import events
from service.app import create_app

app = create_app()

@app.post("/fail/<number>")
def fail(number):
    body = request.get_data(as_text=True)
    raise ValueError(body + number)

eval({expression!r})
sentry_sdk.flush(5)
"""
POSTED = (
    f'app.test_client().post("/fail/{NUMBER}?to={NUMBER}", data="{BODY}", '
    f'headers={{"Authorization": "Bearer {KEY}", "X-Request-ID": "r1"}})'
)
DEAD_LETTER = (
    'events.dead_lettered("twilio", "00000000-0000-0000-0000-000000000007", "ZeroDivisionError")'
)


def run(code: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def event_in(stand: Stand) -> dict[str, Any]:
    raw = gzip.decompress(stand.sent) if stand.sent[:2] == b"\x1f\x8b" else stand.sent
    event: dict[str, Any] = json.loads(raw.splitlines()[2])
    return event


def reported(expression: str) -> tuple[dict[str, Any], str]:
    with standing() as sentry:
        sentry.answer(200, {})
        dsn = sentry.url.replace("//", "//public@") + "/1"
        run(FAILING.format(expression=expression), SENTRY_DSN=dsn)
        assert sentry.paths == ["/api/1/envelope/"]
        event = event_in(sentry)
    return event, json.dumps(event)


@pytest.mark.slow
def test_unhandled_exception_is_reported_with_frames_and_id() -> None:
    event, text = reported(POSTED)

    [exception] = event["exception"]["values"]
    assert exception["type"] == "ValueError"
    assert exception["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event["tags"]["request_id"] == "r1"
    assert event["level"] == "error"
    for secret in ("hunter2", "4155552671", "vars", "Bearer"):
        assert secret not in text


@pytest.mark.slow
def test_dead_letter_is_reported_with_its_ids() -> None:
    event, text = reported(DEAD_LETTER)

    assert event["logentry"]["message"] == "dead letter"
    assert event["tags"] == {
        "provider": "twilio",
        "attempt_id": "00000000-0000-0000-0000-000000000007",
        "reason": "ZeroDivisionError",
    }
    assert "hunter2" not in text


MODULES = """
import importlib
import sys

for module in sys.argv[1:]:
    importlib.import_module(module)
print(sorted(sys.modules))
"""
LIBRARIES = ("sentry_sdk", "opentelemetry.exporter.otlp.proto.http.trace_exporter")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "configured"),
    [(["wsgi"], True), (["worker.app"], True), (["wsgi", "worker.app"], False)],
    ids=["wsgi", "worker", "unconfigured"],
)
def test_libraries_are_imported_only_with_their_settings(
    modules: list[str], configured: bool
) -> None:
    settings = {
        "SENTRY_DSN": "http://public@127.0.0.1:1/1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    loaded = run(MODULES, *modules, **(settings if configured else {})).stdout
    for library in LIBRARIES:
        assert (f"'{library}'" in loaded) is configured, library
    for unused in ("alembic", "flask_migrate"):
        assert f"'{unused}'" not in loaded
