"""How a line looks: JSON or text, one chain for every logger, an exception without its words."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog

from service.observability import logging as logs
from tests.conftest import make_settings

CallSlots = Callable[[], list[dict[str, Any]]]


def configure(**changes: str) -> None:
    logs.configure(make_settings("sqlite:///unused.db", "redis://127.0.0.1:1", **changes))


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    configure()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> CallSlots:
    configure()
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_line_of_json_with_its_ids(lines: CallSlots) -> None:
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


def test_a_library_s_line_passes_through_the_same_chain(lines: CallSlots) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("some.library").warning("called %s", "+14155552671")

    [line] = lines()
    assert (line["logger"], line["level"]) == ("some.library", "warning")
    assert (line["event"], line["request_id"]) == ("called ***71", "r1")


@pytest.mark.parametrize("own", [True, False])
def test_an_exception_is_told_without_its_words(lines: CallSlots, own: bool) -> None:
    log: Any = structlog.get_logger("own") if own else logging.getLogger("foreign")
    body = "Your code is 123"
    try:
        try:
            raise ValueError(body)
        except ValueError as cause:
            raise KeyError(body) from cause
    except KeyError:
        log.exception("it failed")

    [line] = lines()
    assert line["event"] == "it failed"
    assert line["level"] == "error"
    assert body not in json.dumps(line)
    assert line["exception"].index("builtins.ValueError") < line["exception"].index("KeyError")
    assert "test_logs.py" in line["exception"]


def test_what_is_less_severe_than_wanted_is_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(LOG_LEVEL="WARNING")
    structlog.get_logger("waybill").info("sent")
    logging.getLogger("library").info("called")

    assert capsys.readouterr().err == ""


def test_configured_twice_a_line_is_written_once(lines: CallSlots) -> None:
    configure()
    logging.getLogger("library").error("once")

    assert len(lines()) == 1


def test_on_request_a_line_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LOG_FORMAT="text")
    structlog.get_logger("waybill").info("sent", to="+14155552671")

    line = capsys.readouterr().err
    assert "sent" in line
    assert "to=***71" in line
    assert not line.startswith("{")


def test_on_a_terminal_a_line_is_text_by_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    configure()
    logging.getLogger("library").error("seen")

    line = capsys.readouterr().err
    assert "seen" in line
    assert not line.startswith("{")


def test_a_line_that_failed_names_its_logger_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    [ours] = [one for one in logging.getLogger().handlers if isinstance(one, logs._Stderr)]
    ours.emit(logging.makeLogRecord({"name": "library", "msg": "%d", "args": ("Your code",)}))

    assert capsys.readouterr().err == "a line of library could not be written\n"


def test_what_is_no_plain_value_is_named_by_its_type(lines: CallSlots) -> None:
    structlog.get_logger("waybill").info("sent", thing={"body": "Your code is 123"})

    assert lines()[0]["thing"] == "dict"


def test_a_log_that_nobody_takes_stops_nothing(
    lines: CallSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stderr.write", gone)
    structlog.get_logger("waybill").error("set aside")
