"""Configure the log: JSON, or text on a terminal, without personal data.

Records of all loggers pass through the same processors. An exception is logged with its type and
frames, without its message, which often quotes data (docs/adr/0019).
"""

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
from structlog.processors import JSONRenderer
from structlog.stdlib import BoundLogger, LoggerFactory, ProcessorFormatter, filter_by_level
from structlog.typing import EventDict, Processor, WrappedLogger

from service.config.settings import Settings
from service.observability.scrubbing import keep_secret, mask

# Loggers that log every task, request or migration check at INFO.
_VERBOSE_LOGGERS: Final = (
    *("celery.app.trace", "celery.worker.strategy", "celery.beat"),
    *("werkzeug", "alembic.runtime.migration"),
)
# Loggers with their own handlers, which do not propagate.
_ISOLATED_LOGGERS: Final = ("_granian", "granian.access")
_MAX_CHAIN: Final = 10  # exceptions

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(settings: Settings) -> None:
    """Log to stderr with the level and format of the settings. Safe to call again."""
    keep_secret(settings)
    structlog.configure(
        processors=[filter_by_level, merge_contextvars, _to_record],
        wrapper_class=BoundLogger,
        logger_factory=LoggerFactory(),
    )
    root, stderr = logging.getLogger(), _Stderr()
    stderr.setFormatter(_formatter(settings.log_format))
    for handler in list(root.handlers):
        if isinstance(handler, _Stderr):
            root.removeHandler(handler)
    root.addHandler(stderr)
    root.setLevel(settings.log_level)
    for name in _VERBOSE_LOGGERS:
        level = logging.NOTSET if settings.log_level == "DEBUG" else logging.WARNING
        logging.getLogger(name).setLevel(level)
    for name in _ISOLATED_LOGGERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def format_exception(error: BaseException) -> str:
    """Return the frames and types of an exception and its causes, without their messages."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < _MAX_CHAIN:
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{frames}{type(current).__module__}.{type(current).__qualname__}")
        context = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or context
    return "\n".join(reversed(parts))


class _Stderr(logging.Handler):
    """Writes to the current `sys.stderr`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. Never raises, and never shows a record that it cannot format."""
        try:
            _drop_exception_text(record)
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            with suppress(Exception):  # a closed stderr must not stop the process
                sys.stderr.write(f"could not write a log record of {record.name}\n")


def _formatter(log_format: str) -> logging.Formatter:
    colors = sys.stderr.isatty()
    as_text = log_format == "text" or (log_format == "auto" and colors)
    text = ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)
    renderer: Processor = text if as_text else JSONRenderer()
    return ProcessorFormatter(
        foreign_pre_chain=[merge_contextvars],
        processors=[_describe, ProcessorFormatter.remove_processors_meta, _mask, renderer],
    )


def _to_record(
    logger: WrappedLogger, name: str, event: EventDict
) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Return the arguments for a stdlib logger, with `exc_info` where Sentry reads it."""
    exc_info = event.pop("exc_info", None)
    if exc_info and not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    if exc_info:
        event["exc_info"] = exc_info
    extra = {"_logger": logger, "_name": name}
    return (event,), {"exc_info": exc_info, "extra": extra}


def _drop_exception_text(record: logging.LogRecord) -> None:
    """Remove the exception's message from Celery's record about a failed task."""
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
        described["exception"] = format_exception(exc_info[1])
    return described


def _mask(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return {name: _plain(value) for name, value in event.items()}


def _plain(value: object) -> object:
    """Return a value that may be logged; the name of its type for other objects."""
    if isinstance(value, str):
        return mask(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return type(value).__name__
