"""The log: a line of JSON per event for machines, or of text for a terminal; nothing personal.

Lines of the standard library's loggers pass through the same chain. An exception is told by its
type and its frames: its own words often quote what it tripped over (docs/adr/0019).
"""

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final
from uuid import UUID

import structlog
from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter, filter_by_level
from structlog.typing import EventDict, Processor, WrappedLogger

from service.config.settings import Settings
from service.observability.scrubbing import keep_secret, mask

# What they say of every task, every request and every look at the tables is no event.
_TALKATIVE: Final = (
    *("celery.app.trace", "celery.worker.strategy", "celery.beat"),
    *("werkzeug", "alembic.runtime.migration"),
)
# They come with handlers of their own, and tell their parents nothing.
_SECRETIVE: Final = ("_granian", "granian.access")
_LONGEST_CHAIN: Final = 10

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(settings: Settings) -> None:
    """Write this process's log to stderr, as the settings say. Safe to call again."""
    keep_secret(settings)
    structlog.configure(
        processors=[filter_by_level, merge_contextvars, _hand_over],
        wrapper_class=BoundLogger,
        logger_factory=LoggerFactory(),
    )
    root, ours = logging.getLogger(), _Stderr()
    ours.setFormatter(_formatter(settings.log_format))
    for handler in [one for one in root.handlers if isinstance(one, _Stderr)]:
        root.removeHandler(handler)
    root.addHandler(ours)
    root.setLevel(settings.log_level)
    for name in _TALKATIVE:
        quiet = logging.NOTSET if settings.log_level == "DEBUG" else logging.WARNING
        logging.getLogger(name).setLevel(quiet)
    for name in _SECRETIVE:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def story(error: BaseException) -> str:
    """Return the frames and types of an exception and of what led to it, without their words."""
    told: list[str] = []
    now: BaseException | None = error
    while now is not None and len(told) < _LONGEST_CHAIN:
        where = "".join(traceback.format_tb(now.__traceback__))
        told.append(f"{where}{type(now).__module__}.{type(now).__qualname__}")
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return "\n".join(reversed(told))


class _Stderr(logging.Handler):
    """Writes to whatever `sys.stderr` is at the time; says nothing of a line it cannot write."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Never raises, and never shows what it could not write."""
        try:
            _quote_no_exception(record)
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            with suppress(Exception):  # nobody reads: no reason to stop working
                sys.stderr.write(f"a line of {record.name} could not be written\n")


def _formatter(form: str) -> logging.Formatter:
    colors = sys.stderr.isatty()
    as_text = form == "text" or (form == "auto" and colors)
    text = ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)
    last: Processor = text if as_text else _as_json
    return ProcessorFormatter(
        foreign_pre_chain=[merge_contextvars],
        processors=[_describe, ProcessorFormatter.remove_processors_meta, _masked, last],
    )


def _hand_over(
    logger: WrappedLogger, name: str, event: EventDict
) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Make a record of the standard library's, with the exception where others look for it."""
    exc_info = event.pop("exc_info", None)
    if exc_info and not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    if exc_info:
        event["exc_info"] = exc_info
    extra = {"_logger": logger, "_name": name}
    return (event,), {"exc_info": exc_info, "extra": extra}


def _quote_no_exception(record: logging.LogRecord) -> None:
    """Keep an exception's words out of the line in which Celery tells of a failed task."""
    if isinstance(record.args, Mapping) and "exc" in record.args:
        record.args = {**record.args, "exc": "see the exception", "traceback": ""}


def _describe(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    exc_info: _ExcInfo | None = event.pop("exc_info", None)
    described = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "level": record.levelname.lower(),
        "logger": record.name,
        **event,
    }
    if exc_info and exc_info[1] is not None:
        described["exception"] = story(exc_info[1])
    return described


def _masked(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return {name: _plain(value) for name, value in event.items()}


def _plain(value: object) -> object:
    """Return a value as it may be written: what is no plain value is named by its type."""
    if isinstance(value, str):
        return mask(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return type(value).__name__


def _as_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return json.dumps(event)
