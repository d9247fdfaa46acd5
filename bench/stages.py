"""Measures each stage of a callback separately, in one process."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from flask import Flask

from bench import callbacks
from bench.callbacks import SignedCallback
from bench.report import Row
from bench.waybill import ServingWaybill, fill
from service.app import create_app, tune_garbage_collector
from service.components import components
from service.config.settings import Settings
from service.inbox.entry import Entry
from service.providers.base import CallbackRequest
from service.recording import record as recording

_BATCH: Final = 2_000  # as in a drain of a backlog


def stages(serving: ServingWaybill, count: int) -> Iterator[Row]:
    """Yield microseconds per callback, including waits for Redis and the database."""
    serving.stack.stop("worker-status")  # the benchmark itself consumes the inbox
    messages = callbacks.make_messages(count // len(callbacks.STATUSES))
    fill(serving.stack, messages)
    signed = list(callbacks.callbacks(messages))
    app = create_app(Settings.load(serving.stack.environment))
    tune_garbage_collector()
    with app.app_context():
        twilio = components().providers["twilio"]
        requests = [_request(callback) for callback in signed]
        yield _row("web: verify the signature", lambda: list(map(twilio.verify, requests)), count)
        yield _row("web: the whole request, with Redis", lambda: _post_all(app, signed), count)
        yield from _drain(count)


def _drain(count: int) -> Iterator[Row]:
    inbox, batches = components().inbox, list[list[Entry]]()
    inbox.take("bench", 1, linger=0.01)  # creates the consumer group

    def take() -> None:
        while batch := inbox.take("bench", _BATCH, linger=0.01):
            batches.append(batch)

    yield _row("worker: take from the inbox", take, count)
    reports: list[list[Any]] = []

    def parse() -> None:
        for batch in batches:
            parsers = components().providers
            reports.append(
                [parsers[entry.callback.provider].parse(entry.callback) for entry in batch]
            )

    yield _row("worker: parse the form", parse, count)

    def record() -> None:
        for batch in reports:
            recording.record(batch)

    def acknowledge() -> None:
        for batch in batches:
            inbox.ack(batch)

    yield _row("worker: record, with the database", record, count)
    yield _row("worker: acknowledge", acknowledge, count)


def _post_all(app: Flask, signed: Sequence[SignedCallback]) -> None:
    def start_response(*_: Any) -> Callable[[bytes], object]:
        return io.BytesIO().write

    for callback in signed:
        app.wsgi_app(_environ(callback), start_response)


def _row(name: str, work: Callable[[], object], count: int) -> Row:
    start = time.perf_counter()
    work()
    return Row(f"stage: {name}", 1e6 * (time.perf_counter() - start) / count, "µs")


def _request(callback: SignedCallback) -> CallbackRequest:
    headers = {"x-twilio-signature": callback.signature}
    return CallbackRequest(callback.path, "", headers, callback.body)


def _environ(callback: SignedCallback) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": callback.path,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(callback.body)),
        "HTTP_HOST": "sms.example.com",
        "HTTP_USER_AGENT": "TwilioProxy/1.1",
        "HTTP_X_TWILIO_SIGNATURE": callback.signature,
        "wsgi.input": io.BytesIO(callback.body),
    }
