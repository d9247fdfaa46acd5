"""Traces: one for each message, from its post over the call to the provider to its callbacks.

The database, Redis and the provider carry no trace context between these steps. The ids of messages
and attempts serve as trace and span ids instead (docs/adr/0019). Without an endpoint these
functions do nothing.
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
# None while traces are not exported.
writer: "Spans | None" = None


def start(settings: "Settings") -> None:
    """Export traces to the endpoint in the settings, if there is one."""
    global writer
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        writer = None
        return
    from service.observability.tracing.spans import Spans, exporting

    writer = Spans(exporting(endpoint))


def posted(message_id: UUID, began: datetime) -> None:
    """Write the root span of a message's trace: its post, which ends now."""
    _write("post", message_id, None, message_id, began)


@contextmanager
def sending(message_id: UUID, attempt_id: UUID, provider: str) -> Iterator[None]:
    """Write the span of a call to a provider, with the type of the exception that it raises."""
    if writer is None:
        yield
        return
    began, error = datetime.now(UTC), ""
    try:
        yield
    except Exception as raised:
        error = type(raised).__name__
        raise
    finally:
        attributes = {"waybill.provider": provider, "waybill.attempt_id": str(attempt_id)}
        _write("send", message_id, message_id, attempt_id, began, attributes, error)


def recorded(message_id: UUID, attempt_id: UUID | None, received_at: datetime) -> None:
    """Write the span of a callback, from its arrival until its commit, which is now."""
    _write("record", message_id, attempt_id or message_id, None, received_at)


def _write(*span: Any) -> None:
    if writer is None:
        return
    try:
        writer.write(*span)
    except Exception:
        # A failure to trace must not put a message in doubt that was sent.
        _log.exception("could not write a span")
