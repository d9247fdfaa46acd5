"""Traces: one for each message, from the post over the call to the provider to its callbacks.

Sends and callbacks go through the database, Redis and the provider, none of which carries a trace's
context. None need: the message's id is the trace's, the attempt's id makes the span of its call,
and every process knows both (docs/adr/0019). Without an endpoint nothing here does anything, and
the library is not imported.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from service.config.settings import Settings
    from service.observability.tracing.spans import Spans

_log = logging.getLogger(__name__)
_spans: "Spans | None" = None


def start(settings: "Settings") -> None:
    """Send traces to where the settings say, if they do."""
    global _spans
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        _spans = None
        return
    from service.observability.tracing.spans import Spans, exporting

    _spans = Spans(exporting(endpoint))


def is_on() -> bool:
    """Tell whether traces are sent anywhere."""
    return _spans is not None


def posted(message_id: UUID, began: datetime) -> None:
    """Write the span of a post that began then and ends now: the root of a message's trace."""
    _write("post", message_id, None, message_id, began)


@contextmanager
def sending(message_id: UUID, attempt_id: UUID, provider: str) -> Iterator[None]:
    """Write the span of a call to a provider, with the type of what it raises."""
    if _spans is None:
        yield
        return
    began, error = datetime.now(UTC), ""
    try:
        yield
    except Exception as raised:
        error = type(raised).__name__
        raise
    finally:
        about = {"waybill.provider": provider, "waybill.attempt_id": str(attempt_id)}
        _write("send", message_id, message_id, attempt_id, began, about, error)


def recorded(message_id: UUID, attempt_id: UUID | None, received_at: datetime) -> None:
    """Write the span of a callback, from when it was received until now, when it is committed."""
    _write("record", message_id, attempt_id or message_id, None, received_at)


def _write(*span: Any) -> None:
    if _spans is None:
        return
    try:
        _spans.write(*span)
    except Exception:
        # A message that went out must not count as in doubt for the sake of a span.
        _log.exception("a span could not be written")
