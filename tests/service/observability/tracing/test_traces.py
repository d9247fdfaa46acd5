"""One trace for each message, across processes; no traces without an endpoint."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from uuid_utils.compat import uuid7

from service.database import db
from service.errors import OutcomeUnknown
from service.models import Message
from service.observability import tracing
from service.observability.tracing.spans import Spans, exporting
from service.recording import consume_inbox
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.observability.test_events import call_back
from tests.stand import standing
from tests.strategies import EPOCH

HALF = (1 << 64) - 1


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "writer", Spans(SimpleSpanProcessor(exporter)))
    return exporter


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def parent_id(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_message_is_one_trace_from_post_to_callback(
    web: FlaskClient, context: Flask, provider: FakeProvider, exporter: InMemorySpanExporter
) -> None:
    posted = web.post("/v1/messages", json={"to": "+14155552671", "body": "Hello"}).json
    assert posted is not None
    deliver.deliver()
    [outbound] = provider.on_air
    call_back(context, outbound.attempt_id, b"MessageStatus=delivered")
    consume_inbox.consume_inbox()

    spans = by_name(exporter)
    assert set(spans) == {"post", "send", "record"}
    assert {span.context.trace_id for span in spans.values()} == {UUID(posted["id"]).int}
    assert parent_id(spans["post"]) is None
    assert parent_id(spans["send"]) == spans["post"].context.span_id
    assert (
        parent_id(spans["record"])
        == spans["send"].context.span_id
        == outbound.attempt_id.int & HALF
    )
    for span in spans.values():
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
        assert "4155552671" not in span.to_json()
        assert "Hello" not in span.to_json()


def test_each_message_of_a_batch_has_its_own_trace(
    web: FlaskClient, exporter: InMemorySpanExporter
) -> None:
    batch = {"messages": [{"to": f"+1415555267{n}", "body": "Hello"} for n in range(3)]}
    answer = web.post("/v1/messages/batch", json=batch).json
    assert answer is not None

    ids = {UUID(result["message"]["id"]).int for result in answer["results"]}
    assert {span.context.trace_id for span in exporter.get_finished_spans()} == ids


def test_failed_call_has_the_error_type_only(
    post: Post, provider: FakeProvider, exporter: InMemorySpanExporter
) -> None:
    def lose(_: object) -> Any:
        raise OutcomeUnknown("no answer about +14155552671")

    provider.script = lose
    post()
    deliver.deliver()

    sent = by_name(exporter)["send"]
    assert sent.status.description == "OutcomeUnknown"
    assert "4155552671" not in sent.to_json()


def test_collector_receives_spans_over_http() -> None:
    trace, attempt = uuid7(), uuid7()
    with standing() as collector:
        collector.status = 200
        processor = exporting(collector.url)
        Spans(processor).write("send", trace, trace, attempt, EPOCH, {"waybill.provider": "fake"})
        processor.force_flush()
        processor.shutdown()

    assert collector.paths == ["/v1/traces"]
    [resource] = ExportTraceServiceRequest.FromString(collector.sent).resource_spans
    [span] = resource.scope_spans[0].spans
    assert span.trace_id == trace.bytes
    assert span.span_id == attempt.bytes[8:]
    assert span.parent_span_id == trace.bytes[8:]
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert attributes["service.name"] == "waybill"


@pytest.mark.parametrize(
    ("sampler", "ratio", "least", "most"),
    [
        ("always_on", "", 400, 400),
        ("parentbased_always_off", "", 0, 0),
        ("traceidratio", "0.25", 50, 150),
        ("parentbased_traceidratio", "0.75", 250, 350),
        ("parentbased_traceidratio", "a quarter", 400, 400),
    ],
)
def test_sampled_messages_are_traced_completely(
    monkeypatch: pytest.MonkeyPatch, sampler: str, ratio: str, least: int, most: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    exporter = InMemorySpanExporter()
    spans = Spans(SimpleSpanProcessor(exporter))
    for _ in range(400):
        message, attempt = uuid4(), uuid4()
        spans.write("post", message, None, message, EPOCH)
        spans.write("send", message, message, attempt, EPOCH)
        spans.write("record", message, attempt, None, EPOCH)

    written = exporter.get_finished_spans()
    traces = {span.context.trace_id for span in written}
    assert least <= len(traces) <= most
    assert len(written) == 3 * len(traces)


def test_failure_to_write_a_span_changes_no_status(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "writer", object())
    message_id = post()
    deliver.deliver()

    sent = db.session.get_one(Message, message_id)
    assert sent.status == "queued"


def test_without_an_endpoint_tracing_does_nothing() -> None:
    assert tracing.writer is None
    with tracing.sending(uuid7(), uuid7(), "fake"):
        tracing.posted(uuid7(), EPOCH)
        tracing.recorded(uuid7(), None, EPOCH)
