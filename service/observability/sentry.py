"""Report logged errors to Sentry, if SENTRY_DSN is set; the library is not imported otherwise.

A report is built from an allow-list: the event's name, ids, and the types and frames of the
exception. Everything else that the library collects is dropped.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from structlog.contextvars import get_contextvars

from service.observability.scrubbing import mask

if TYPE_CHECKING:
    from service.config.settings import Settings

_FIELDS: Final = (
    *("event_id", "timestamp", "level", "platform", "logger", "server_name"),
    *("release", "environment", "sdk"),
)
_TAGS: Final = (
    *("request_id", "message_id", "attempt_id", "client_id", "provider"),
    *("code", "reason"),
)
_FRAME_FIELDS: Final = ("filename", "module", "function", "lineno", "in_app")
# Seconds that a process may take at its end to send the remaining reports.
_SHUTDOWN_TIMEOUT: Final = 2


def start(settings: "Settings") -> None:
    """Report errors to the DSN in the settings, if there is one."""
    if settings.sentry_dsn is None:
        return
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        before_send=scrubbed,  # type: ignore[arg-type]
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        shutdown_timeout=_SHUTDOWN_TIMEOUT,
        # The default integrations read requests, queries and Redis commands.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR),
            ExcepthookIntegration(),
            DedupeIntegration(),
            AtexitIntegration(callback=lambda _pending, _timeout: None),
        ],
    )


def scrubbed(event: Mapping[str, Any], hint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new event with the fields, tags and frames that hold nothing personal."""
    clean = {name: event[name] for name in _FIELDS if name in event}
    record: logging.LogRecord | None = hint.get("log_record")
    message = record.msg if record is not None else ""
    context: dict[str, Any] = dict(get_contextvars())
    if isinstance(message, dict):
        context |= message
        message = message.get("event", "")
    # The message without its arguments.
    clean["logentry"] = {"message": mask(str(message))}
    clean["tags"] = {
        name: mask(str(context[name])) for name in _TAGS if context.get(name) is not None
    }
    exceptions = (event.get("exception") or {}).get("values") or ()
    if exceptions:
        clean["exception"] = {"values": [_exception(exception) for exception in exceptions]}
    return clean


def _exception(exception: Mapping[str, Any]) -> dict[str, Any]:
    frames: Iterable[Mapping[str, Any]] = (exception.get("stacktrace") or {}).get("frames") or ()
    return {
        "type": exception.get("type"),
        "module": exception.get("module"),
        "stacktrace": {
            "frames": [{name: frame.get(name) for name in _FRAME_FIELDS} for frame in frames]
        },
    }
