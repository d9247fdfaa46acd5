"""The tables explain every code that the providers publish, and a command keeps the lists."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.providers import published_codes
from service.providers.published_codes import SOURCES, published, unexplained
from service.providers.sinch import errors as sinch
from service.providers.twilio import errors as twilio

EXPLAIN = {"twilio": twilio.explain, "sinch": sinch.explain}
TWILIO = [
    {"code": 21211, "message": "Invalid 'To' Phone Number", "product": None},
    {"code": 30003, "message": "Unreachable", "product": "Programmable SMS"},
    {"code": 63016, "message": "Outside the window", "product": "Programmable Messaging"},
    {"code": 20003, "message": "Permission Denied", "product": "Platform"},
    {"code": 13214, "message": "Dial: Invalid callerId", "product": "Programmable Voice"},
    {"code": 21220, "message": "Invalid call state", "product": None},
]
SINCH = """
| Message state | Value |
| ------------- | ----- |
| DELIVERED     | 2     |

| Code | Name | Status |
| ---- | ---- | ------ |
| 0 | Delivered | Delivered |
| 401 | Dispatched | Dispatched |
| 402 | Unroutable | Aborted |
| `153` | HLR ERROR | Absent |

| HTTP | Code | Description |
| ---- | ---- | ----------- |
| 403 | `blocked_account` | Your account has been blocked |
"""


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Store the lists in an empty directory."""
    monkeypatch.setattr(published_codes, "_list_of", lambda name: tmp_path / f"{name}.txt")
    return tmp_path


def update(tmp_path: Path, *, twilio: object = None, sinch: str | None = None) -> Result:
    arguments = []
    for name, content in (("twilio", twilio and json.dumps(twilio)), ("sinch", sinch)):
        if content is not None:
            file = tmp_path / f"{name}-download"
            file.write_text(str(content))
            arguments += [f"--{name}", str(file)]
    return CliRunner().invoke(published_codes.main, arguments)


@pytest.mark.parametrize("provider", SOURCES)
def test_every_published_code_is_explained(provider: str) -> None:
    codes = published(provider)
    assert len(codes) > 100
    assert unexplained(provider, codes) == [], f"add these to {provider}/errors.csv"
    assert all(EXPLAIN[provider](code).listed for code in codes)


@pytest.mark.parametrize("code", ["63027", "63028", "30029", "21660", "90007"])
def test_codes_of_the_newer_pages_are_explained(code: str) -> None:
    assert code in published("twilio")
    assert twilio.explain(code) is not twilio.UNKNOWN


def test_lists_are_regenerated_from_downloaded_files(lists: Path) -> None:
    result = update(lists, twilio=TWILIO, sinch=SINCH)
    assert result.exit_code == 0, result.output
    assert published("twilio") == {"20003", "21211", "30003", "63016"}
    assert published("sinch") == {"402", "153", "blocked_account"}
    assert SOURCES["twilio"].address in (lists / "twilio.txt").read_text()


def test_stored_list_is_regenerated_unchanged(lists: Path) -> None:
    stored = Path(published_codes.__file__).parent / "twilio" / "published_codes.txt"
    codes = [line for line in stored.read_text().splitlines() if not line.startswith("#")]
    entries = [{"code": int(code), "message": "", "product": "Messaging"} for code in codes]
    assert update(lists, twilio=entries).exit_code == 0
    written = [line for line in (lists / "twilio.txt").read_text().splitlines() if line[0] != "#"]
    assert written == codes


def test_new_published_code_fails_and_is_named(lists: Path) -> None:
    entry = {"code": 63999, "message": "A new title", "product": "Programmable Messaging"}
    result = update(lists, twilio=[*TWILIO, entry])
    assert result.exit_code == 1
    assert "63999 (A new title)" in result.output
    assert unexplained("twilio", published("twilio")) == ["63999"]


@pytest.mark.parametrize("content", [{}, [1], [{"code": "x"}], [{"code": 1}]])
def test_other_json_is_refused_with_the_needed_form(lists: Path, content: object) -> None:
    result = update(lists, twilio=[content] if content == {} else content)
    assert result.exit_code == 1
    assert "JSON list of objects" in result.output
    assert not (lists / "twilio.txt").exists()


def test_page_without_codes_is_refused(lists: Path) -> None:
    result = update(lists, sinch="<html>Not found</html>")
    assert result.exit_code == 1
    assert "Markdown tables" in result.output
    assert not (lists / "sinch.txt").exists()


def test_command_needs_a_file() -> None:
    result = CliRunner().invoke(published_codes.main, [])
    assert result.exit_code == 2
    assert "--twilio FILE" in result.output
