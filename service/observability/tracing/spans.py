"""The only module that knows OpenTelemetry; imported where an endpoint is set, and nowhere else."""

import os
import random
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes

_HALF: Final = (1 << 64) - 1
# The random part of the lower half of a UUIDv7; above it are two bits that never change.
_RANDOM: Final = (1 << 62) - 1


class Spans:
    """Writes spans whose ids are those of messages and attempts."""

    def __init__(self, processor: SpanProcessor) -> None:
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "waybill"}
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=Resource.create(named), sampler=_ByMessage(_share()), id_generator=self._ids
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("waybill")

    def write(
        self,
        name: str,
        trace: UUID,
        parent: UUID | None,
        own: UUID | None,
        began: datetime,
        about: Mapping[str, str] | None = None,
        error: str = "",
    ) -> None:
        """Write a span that began then and ends now; `own` is None where nothing is below it."""
        self._ids.set(trace.int, own.int & _HALF if own else random.getrandbits(64) | 1)
        span = self._tracer.start_span(
            name,
            context=_below(trace, parent) if parent else Context(),
            attributes={"waybill.message_id": str(trace), **(about or {})},
            start_time=_nanoseconds(began),
        )
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(_nanoseconds(datetime.now(UTC)))

    def flush(self) -> None:
        """Send what is written."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what is written, and take no more."""
        self._provider.shutdown()


def exporting(endpoint: str) -> SpanProcessor:
    """Return what sends spans in batches, by OTLP over HTTP. The SDK bounds its queue and waits."""
    address = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or f"{endpoint}/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(address))


class _Ids(IdGenerator):
    """Gives the span that this thread is about to start the ids that were set for it."""

    def __init__(self) -> None:
        self._next = threading.local()

    def set(self, trace: int, span: int) -> None:
        self._next.trace, self._next.span = trace, span

    def generate_trace_id(self) -> int:
        trace: int = self._next.trace
        return trace

    def generate_span_id(self) -> int:
        span: int = self._next.span
        return span


class _ByMessage(Sampler):
    """Takes a share of the messages, whole traces of them: every process decides alike.

    The SDK's own samplers read two bits as random that are the same in every UUID.
    """

    def __init__(self, share: float) -> None:
        self._bound = share * (_RANDOM + 1)

    def should_sample(
        self,
        parent_context: Context | None,  # noqa: ARG002 - the SDK prescribes them
        trace_id: int,
        name: str,  # noqa: ARG002
        kind: SpanKind | None = None,  # noqa: ARG002
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002
        trace_state: TraceState | None = None,  # noqa: ARG002
    ) -> SamplingResult:
        """Decide by the message's id alone."""
        chosen = trace_id & _RANDOM < self._bound
        return SamplingResult(Decision.RECORD_AND_SAMPLE if chosen else Decision.DROP, attributes)

    def get_description(self) -> str:
        """Return what the SDK calls it."""
        return "ByMessage"


def _share() -> float:
    """Return which share of messages to trace, as OTEL_TRACES_SAMPLER and its argument say."""
    sampler = os.environ.get("OTEL_TRACES_SAMPLER", "")
    if sampler.endswith("always_off"):
        return 0.0
    if not sampler.endswith("traceidratio"):
        return 1.0
    try:
        return float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1"))
    except ValueError:
        return 1.0


def _below(trace: UUID, parent: UUID) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED)
    above = SpanContext(trace.int, parent.int & _HALF, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(above), Context())


def _nanoseconds(when: datetime) -> int:
    return int(when.timestamp() * 1e6) * 1000
