"""Write spans with OpenTelemetry; imported only where an endpoint is set.

A message's id is its trace id, and the lower half of an attempt's id is the id of its `send` span.
Every process knows both, so a callback days later joins the trace of its message. The alternative,
a stored traceparent (or span links, which need one too), takes a column of messages and of
attempts, their migration, and code to write and read it; the id generator takes 12 lines.
"""

import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

_LOWER_HALF: Final = (1 << 64) - 1


class Spans:
    """Writes spans whose ids are those of messages and attempts."""

    def __init__(self, processor: SpanProcessor) -> None:
        name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "waybill"}
        # A provider without arguments reads OTEL_TRACES_SAMPLER.
        self._sampler = TracerProvider(shutdown_on_exit=False).sampler
        self._ids = _MessageIds()
        provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create(name), id_generator=self._ids
        )
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("waybill")

    def write(
        self,
        name: str,
        message_id: UUID,
        parent: UUID | None,
        own_id: UUID | None,
        began: datetime,
        attributes: Mapping[str, str] | None = None,
        error: str = "",
    ) -> None:
        """Write a span that ends now; `own_id` is None for a span without children."""
        if not self._is_sampled(message_id):
            return
        self._ids.set(message_id, own_id)
        span = self._tracer.start_span(
            name,
            context=_child_of(message_id, parent) if parent else Context(),
            attributes={"waybill.message_id": str(message_id), **(attributes or {})},
            start_time=_nanoseconds(began),
        )
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(_nanoseconds(datetime.now(UTC)))

    def _is_sampled(self, message_id: UUID) -> bool:
        # Ratio samplers take the lower 64 bits as random, but the two highest of them are the same
        # in every UUID: shift them out.
        result = self._sampler.should_sample(None, message_id.int << 2, "")
        return result.decision is Decision.RECORD_AND_SAMPLE


def exporting(endpoint: str) -> SpanProcessor:
    """Return a processor that exports batches of spans by OTLP over HTTP, from a bounded queue."""
    url = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or f"{endpoint}/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(url))


class _MessageIds(RandomIdGenerator):
    """Returns the ids that were set for the next span of this thread."""

    def __init__(self) -> None:
        self._next = threading.local()

    def set(self, trace: UUID, span: UUID | None) -> None:
        self._next.trace, self._next.span = trace, span

    def generate_trace_id(self) -> int:
        trace: UUID = self._next.trace
        return trace.int

    def generate_span_id(self) -> int:
        span: UUID | None = self._next.span
        return span.int & _LOWER_HALF if span else super().generate_span_id()


def _child_of(trace: UUID, parent: UUID) -> Context:
    parent_span = SpanContext(
        trace.int,
        parent.int & _LOWER_HALF,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(parent_span), Context())


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1e6) * 1000
