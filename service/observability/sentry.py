"""Reports of errors to Sentry, if the settings name one; the library is not imported otherwise.

Whatever is logged as an error goes there, made anew from what is known to be harmless: the event's
name, ids, and the types and frames of the exception. Nothing else that the library gathered does.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from structlog.contextvars import get_contextvars

from service.observability.scrubbing import mask

if TYPE_CHECKING:
    from service.config.settings import Settings

_KEPT: Final = (
    *("event_id", "timestamp", "level", "platform", "logger", "server_name"),
    *("release", "environment", "sdk"),
)
_IDS: Final = (
    *("request_id", "message_id", "attempt_id", "client_id", "provider"),
    *("code", "reason"),
)
_FRAME: Final = ("filename", "module", "function", "lineno", "in_app")
# Seconds that a process which ends may take to send what it has not yet.
_LAST_WORDS: Final = 2


def start(settings: "Settings") -> None:
    """Report errors to where the settings say, if they do."""
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
        shutdown_timeout=_LAST_WORDS,
        # Those it would choose by itself read requests, queries and commands to Redis.
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
    """Return a new event with only what is known to hold nothing personal."""
    clean = {name: event[name] for name in _KEPT if name in event}
    record: logging.LogRecord | None = hint.get("log_record")
    said = record.msg if record is not None else ""
    known: dict[str, Any] = dict(get_contextvars())
    if isinstance(said, dict):
        known |= said
        said = said.get("event", "")
    # The template of a line, never what was filled in.
    clean["logentry"] = {"message": mask(str(said))}
    clean["tags"] = {name: mask(str(known[name])) for name in _IDS if known.get(name) is not None}
    raised = (event.get("exception") or {}).get("values") or ()
    if raised:
        clean["exception"] = {"values": [_exception(one) for one in raised]}
    return clean


def _exception(raised: Mapping[str, Any]) -> dict[str, Any]:
    frames: Iterable[Mapping[str, Any]] = (raised.get("stacktrace") or {}).get("frames") or ()
    kept = [{name: frame.get(name) for name in _FRAME} for frame in frames]
    return {
        "type": raised.get("type"),
        "module": raised.get("module"),
        "stacktrace": {"frames": kept},
    }
