"""Sentry receives what happened and where, and nothing that anybody sent us."""

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
from service import journal
from service.app import create_app
from service.providers.base import Callback
from datetime import datetime, UTC

app = create_app()

@app.post("/fail/<number>")
def fail(number):
    body = request.get_data(as_text=True)
    raise ValueError(body + number)

for deed in {deeds}:
    eval(deed)
sentry_sdk.flush(5)
"""
POSTED = (
    f'app.test_client().post("/fail/{NUMBER}?to={NUMBER}", data="{BODY}", '
    f'headers={{"Authorization": "Bearer {KEY}", "X-Request-ID": "r1"}})'
)
ASIDE = (
    'journal.set_aside(Callback("twilio", "00000000-0000-0000-0000-000000000007", '
    f'b"{BODY}", datetime.now(UTC)), "ZeroDivisionError")'
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
    found: dict[str, Any] = json.loads(raw.splitlines()[2])
    return found


def reported(deed: str) -> tuple[dict[str, Any], str]:
    with standing() as sentry:
        sentry.answer(200, {})
        dsn = sentry.url.replace("//", "//public@") + "/1"
        run(FAILING.format(deeds=[deed]), SENTRY_DSN=dsn)
        assert sentry.paths == ["/api/1/envelope/"]
        event = event_in(sentry)
    return event, json.dumps(event)


def test_an_unhandled_exception_is_reported_with_its_frames_and_the_request_s_name() -> None:
    event, text = reported(POSTED)

    [raised] = event["exception"]["values"]
    assert raised["type"] == "ValueError"
    assert raised["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event["tags"]["request_id"] == "r1"
    assert event["level"] == "error"
    for secret in ("hunter2", "4155552671", "vars", "Bearer"):
        assert secret not in text


def test_an_event_of_the_journal_is_reported_with_its_ids() -> None:
    event, text = reported(ASIDE)

    assert event["logentry"]["message"] == "set aside"
    assert event["tags"] == {
        "provider": "twilio",
        "attempt_id": "00000000-0000-0000-0000-000000000007",
        "reason": "ZeroDivisionError",
    }
    assert "hunter2" not in text


SHOW = """
import importlib
import sys

importlib.import_module(sys.argv[1])
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""
LIBRARIES = ("sentry_sdk", "opentelemetry")


@pytest.mark.parametrize("module", ["wsgi", "worker.app"])
@pytest.mark.parametrize("given", [True, False])
def test_a_process_without_the_settings_does_not_even_import_the_libraries(
    module: str, given: bool
) -> None:
    settings = {
        "SENTRY_DSN": "http://public@127.0.0.1:1/1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    loaded = run(SHOW, module, **(settings if given else {})).stdout
    for library in LIBRARIES:
        assert (f"'{library}'" in loaded) is given, library
    for unused in ("rich", "pygments", "alembic", "flask_migrate"):
        assert f"'{unused}'" not in loaded
