"""Log format: JSON or text, the same for every logger, exceptions without their messages."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog

from service.observability import logging as logs
from tests.conftest import make_settings

Lines = Callable[[], list[dict[str, Any]]]


def configure(**changes: str) -> None:
    logs.configure(make_settings("sqlite:///unused.db", "redis://127.0.0.1:1", **changes))


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    configure()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    configure()
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_event_is_one_line_of_json_with_its_ids(lines: Lines) -> None:
    structlog.get_logger("waybill").info("sent", message_id=UUID(int=7), seconds=0.5)

    [line] = lines()
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "waybill",
        "event": "sent",
        "message_id": str(UUID(int=7)),
        "seconds": 0.5,
    }


def test_library_record_is_masked_and_has_the_context(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("some.library").warning("called %s", "+14155552671")

    [line] = lines()
    assert (line["logger"], line["level"]) == ("some.library", "warning")
    assert (line["event"], line["request_id"]) == ("called ***71", "r1")


@pytest.mark.parametrize("structured", [True, False])
def test_exception_is_logged_without_its_message(lines: Lines, structured: bool) -> None:
    log: Any = structlog.get_logger("own") if structured else logging.getLogger("foreign")
    body = "Your code is 123"
    try:
        try:
            raise ValueError(body)
        except ValueError as cause:
            raise KeyError(body) from cause
    except KeyError:
        log.exception("failed")

    [line] = lines()
    assert line["event"] == "failed"
    assert line["level"] == "error"
    assert body not in json.dumps(line)
    assert line["exception"].index("builtins.ValueError") < line["exception"].index("KeyError")
    assert "test_logging.py" in line["exception"]


def test_records_below_the_level_are_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(LOG_LEVEL="WARNING")
    structlog.get_logger("waybill").info("sent")
    logging.getLogger("library").info("called")

    assert capsys.readouterr().err == ""


def test_second_configuration_writes_no_record_twice(lines: Lines) -> None:
    configure()
    logging.getLogger("library").error("once")

    assert len(lines()) == 1


def test_text_format_writes_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LOG_FORMAT="text")
    structlog.get_logger("waybill").info("sent", to="+14155552671")

    line = capsys.readouterr().err
    assert "sent" in line
    assert "to=***71" in line
    assert not line.startswith("{")


def test_terminal_gets_text_by_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    configure()
    logging.getLogger("library").error("seen")

    line = capsys.readouterr().err
    assert "seen" in line
    assert not line.startswith("{")


def test_record_that_fails_names_its_logger_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    root = logging.getLogger()
    [handler] = [handler for handler in root.handlers if isinstance(handler, logs._Stderr)]
    handler.emit(logging.makeLogRecord({"name": "library", "msg": "%d", "args": ("Your code",)}))

    assert capsys.readouterr().err == "could not write a log record of library\n"


def test_other_objects_are_logged_by_type(lines: Lines) -> None:
    structlog.get_logger("waybill").info("sent", thing={"body": "Your code is 123"})

    assert lines()[0]["thing"] == "dict"


def test_closed_stderr_raises_nothing(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stderr.write", gone)
    structlog.get_logger("waybill").error("dead letter")
