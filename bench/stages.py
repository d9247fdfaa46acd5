"""What one callback costs, stage by stage: each timed by itself, in one process, over many."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from flask import Flask

from bench import callbacks
from bench.callbacks import Signed
from bench.report import Row
from bench.waybill import ServingWaybill, fill
from service.app import create_app, tune_garbage_collector
from service.components import components
from service.config.settings import Settings
from service.inbox.stream import Entry
from service.providers.base import CallbackRequest
from service.recording import record as recording

_BATCH: Final = 2_000  # as a drain in a backlog


def stages(serving: ServingWaybill, count: int) -> Iterator[Row]:
    """Yield microseconds for each callback; waiting for Redis and the database is part of it."""
    serving.stack.stop("worker-status")  # nobody else takes what is put here
    messages = callbacks.sent(count // len(callbacks.WORDS))
    fill(serving.stack, messages)
    signed = list(callbacks.callbacks(messages))
    app = create_app(Settings.load(serving.stack.environment))
    tune_garbage_collector()
    with app.app_context():
        twilio = components().providers["twilio"]
        requests = [_request(one) for one in signed]
        yield _row("web: verify the signature", lambda: list(map(twilio.verify, requests)), count)
        yield _row("web: the whole door, storing included", lambda: _through(app, signed), count)
        yield from _drain(count)


def _drain(count: int) -> Iterator[Row]:
    inbox, batches = components().inbox, list[list[Entry]]()
    inbox.take("bench", 1, linger=0.01)  # makes the group

    def take() -> None:
        while batch := inbox.take("bench", _BATCH, linger=0.01):
            batches.append(batch)

    yield _row("worker: take from the inbox", take, count)
    reports: list[list[Any]] = []

    def parse() -> None:
        for batch in batches:
            known = components().providers
            reports.append([known[one.callback.provider].parse(one.callback) for one in batch])

    yield _row("worker: read the form", parse, count)

    def record() -> None:
        for batch in reports:
            recording.record(batch)

    def acknowledge() -> None:
        for batch in batches:
            inbox.ack(batch)

    yield _row("worker: record, the database included", record, count)
    yield _row("worker: acknowledge", acknowledge, count)


def _through(app: Flask, signed: Sequence[Signed]) -> None:
    def start(*_: Any) -> Callable[[bytes], object]:
        return io.BytesIO().write

    for one in signed:
        app.wsgi_app(_environ(one), start)


def _row(what: str, work: Callable[[], object], count: int) -> Row:
    began = time.perf_counter()
    work()
    return Row(f"stage: {what}", 1e6 * (time.perf_counter() - began) / count, "µs")


def _request(one: Signed) -> CallbackRequest:
    return CallbackRequest(one.path, "", {"x-twilio-signature": one.signature}, one.body)


def _environ(one: Signed) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": one.path,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(one.body)),
        "HTTP_HOST": "sms.example.com",
        "HTTP_USER_AGENT": "TwilioProxy/1.1",
        "HTTP_X_TWILIO_SIGNATURE": one.signature,
        "wsgi.input": io.BytesIO(one.body),
    }
