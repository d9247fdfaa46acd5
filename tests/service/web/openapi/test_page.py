"""The page about the API: whole without a network, a script or a second request."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from demo.servers import free_port
from service.web.openapi.page import with_code

CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)


@pytest.fixture
def page(app: Flask) -> str:
    answer = app.test_client().get("/docs")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    return answer.get_data(as_text=True)


def test_page_shows_every_operation_and_sample(app: Flask, page: str) -> None:
    api = app.test_client().get("/openapi.json").json or {}
    for methods in api["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page
    for name in api["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    operations = [each for methods in api["paths"].values() for each in methods.values()]
    with_key = sum(bool(operation["security"]) for operation in operations)
    assert with_key > 20
    for language in ("curl", "Python", "Node"):
        assert page.count(f"<summary>{language}</summary>") == with_key


def test_page_loads_nothing_and_has_no_scripts(app: Flask, page: str) -> None:
    assert not re.search(r"<script|\son\w+=|<link|<img|src=|@import|url\(", page)
    policy = app.test_client().get("/docs").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_links_of_the_page_have_targets(page: str) -> None:
    targets = set(re.findall(r'href="#([\w-]+)"', page))
    assert targets
    assert targets <= set(re.findall(r'id="([\w-]+)"', page))


def test_text_is_escaped_and_quoted_words_become_code() -> None:
    assert with_code("a `<b>` & c") == "a <code>&lt;b&gt;</code> &amp; c"


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", free_port(), app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/docs"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_browser_shows_the_page_under_its_policy(address: str, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    shown = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={tmp_path}", "--window-size=390,800"),
            *(f"--screenshot={tmp_path}/docs.png", address),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Content Security Policy" not in shown.stderr
    assert (tmp_path / "docs.png").stat().st_size > 10_000
