"""Measures accepted messages per second, single and in batches, and sent messages per second."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import requests

from bench import load
from bench.databases import count
from bench.peers.running import plain_post
from bench.rounds import InvalidResult, scratch
from bench.waybill import stack_on
from demo.stack import Stack

BATCH: Final = 1000  # messages; the limit of one call
_MESSAGES: Final = "SELECT count(*) FROM message"
_PLAIN: Final = "SELECT count(*) FROM plain_message"
_UNSENT: Final = "SELECT count(*) FROM message WHERE status IN ('pending', 'submitting')"
_CLOCK: Final = "SELECT floor(1000 * extract(epoch FROM now()))"
_ATTEMPTS: Final = "SELECT count(*) FROM attempt"
_ACCEPTED: Final = "SELECT count(*) FROM attempt WHERE answer = 'accepted'"
_MILLISECONDS: Final = (
    "SELECT 1000 * extract(epoch FROM max(answered_at) - min(started_at)) FROM attempt"
)
_TIMEOUT: Final = 120.0
# Concurrent calls. In one run 64 gave 309/s and 128 gave 451/s.
_CONCURRENCY: Final = "128"
# Celery's default pool: each process sends one message at a time.
PREFORK: Final = ("--pool", "prefork", "--concurrency", "2")
# A provider that answers slowly, and sends callbacks only after all sends.
_SLOW_PROVIDER: Final = (
    *("--fault", "slow=1", "--slow-ms", "100"),
    *("--pace", "100000", "--keep-alive"),
)


def accept_rates(
    database: str, seconds: float, rounds: int, sizes: Sequence[int]
) -> Iterator[float]:
    """Yield accepted messages per second, for each batch size (1: single posts) and round."""
    with scratch() as directory, stack_on(directory, database) as stack:
        stack.stop("worker-send")  # sending is measured separately
        key, file = stack.flask("clients", "create", "bench"), directory / "requests"
        for batch in sizes:
            size = int(seconds * 12_000 / batch) if batch > 1 else int(seconds * 3000)
            for index in range(rounds):
                numbers = range(index * size, (index + 1) * size)
                load.write(file, (_post(key, number, batch) for number in numbers))
                yield _accept(stack, file, seconds, batch)


def _accept(stack: Stack, file: Path, seconds: float, batch: int) -> float:
    database = stack.environment["DATABASE_URL"]
    before = count(database, _MESSAGES)
    result = load.run(stack.url, file, seconds, connections=4 if batch > 1 else 16)
    _verify(result, result.accepted * batch, count(database, _MESSAGES) - before)
    return result.rate * batch


def plain_rates(database: str, seconds: float, rounds: int) -> Iterator[float]:
    """Yield messages per second of a plain Flask view: one INSERT, one `apply_async`."""
    with scratch() as directory, plain_post(directory, database) as url:
        file, size = directory / "requests", int(seconds * 3000)
        for index in range(rounds):
            numbers = range(index * size, (index + 1) * size)
            load.write(file, (_post("", number, 1) for number in numbers))
            before = count(database, _PLAIN)
            result = load.run(url, file, seconds, connections=16)
            _verify(result, result.accepted, count(database, _PLAIN) - before)
            yield result.rate


def send_rates(
    database: str, messages: int, rounds: int, pool: Sequence[str] = ()
) -> Iterator[float]:
    """Yield messages per second of one send worker; the provider answers in 100 ms.

    `pool` are options of another Celery pool, whose processes send one message at a time.
    """
    concurrency = "1" if pool else _CONCURRENCY
    with (
        scratch() as directory,
        stack_on(directory, database, _SLOW_PROVIDER, WORKER_CONCURRENCY=concurrency) as stack,
    ):
        stack.commands["worker-send"] = (*stack.commands["worker-send"], *pool)
        key = stack.flask("clients", "create", "bench")
        for _ in range(rounds):
            stack.stop("worker-send")
            start = count(database, _CLOCK)
            _post_all(stack, key, messages)
            stack.start("worker-send")
            yield _send(stack, messages, start)


def _post_all(stack: Stack, key: str, messages: int) -> None:
    for first in range(0, messages, BATCH):
        answer = requests.post(
            f"{stack.url}/v1/messages/batch",
            json=_batch(first, min(BATCH, messages - first)),
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
        )
        answer.raise_for_status()


def _send(stack: Stack, messages: int, start: int) -> float:
    """Wait until all messages are sent; return the rate from first call to last answer."""
    database, deadline = stack.environment["DATABASE_URL"], time.monotonic() + _TIMEOUT
    while count(database, _UNSENT):
        if time.monotonic() > deadline:
            unsent = count(database, _UNSENT)
            raise InvalidResult(f"{unsent} messages not sent after {_TIMEOUT:.0f} s")
        time.sleep(0.5)
    since = f" WHERE started_at >= to_timestamp({start} / 1000.0)"
    sent, accepted = count(database, _ATTEMPTS + since), count(database, _ACCEPTED)
    summary = f"{stack.simulator_url}/_simulator/records?summary=1"
    created = requests.get(summary, timeout=30).json()["creates"]["created"]
    if sent != messages or accepted != created:
        counts = f"{sent} attempts, {accepted} accepted, {created} at the provider"
        raise InvalidResult(f"{messages} posted, {counts}")
    return 1000 * sent / count(database, _MILLISECONDS + since)


def _verify(result: load.Load, accepted: int, stored: int) -> None:
    if result.rejected or result.failed or stored != accepted:
        raise InvalidResult(f"{accepted} messages accepted, {stored} stored: {result}")


def _post(key: str, number: int, batch: int) -> bytes:
    headers = {
        "Host": "sms.example.com",
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": f"bench-{batch}-{number}",
    }
    if batch == 1:
        return load.post("/v1/messages", headers, json.dumps(_message(number)).encode())
    body = json.dumps(_batch(number * batch, batch)).encode()
    return load.post("/v1/messages/batch", headers, body)


def _batch(first: int, size: int) -> dict[str, Any]:
    return {"messages": [_message(first + offset) for offset in range(size)]}


def _message(number: int) -> dict[str, Any]:
    to = f"+1415{2_000_000 + number % 8_000_000}"
    return {"to": to, "body": f"Your parcel {number} is on its way."}
