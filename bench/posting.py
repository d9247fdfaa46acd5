"""How many messages clients can post, one by one and in batches, and how many go out."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import requests

from bench import load
from bench.databases import count
from bench.peers.running import plain_post
from bench.rounds import Void, scratch
from bench.waybill import stack_on
from demo.stack import Stack

BATCH: Final = 1000  # messages; the most that one call takes
_MESSAGES: Final = "SELECT count(*) FROM message"
_PLAIN: Final = "SELECT count(*) FROM plain_message"
_UNSENT: Final = "SELECT count(*) FROM message WHERE status IN ('pending', 'submitting')"
_CLOCK: Final = "SELECT floor(1000 * extract(epoch FROM now()))"
_ATTEMPTS: Final = "SELECT count(*) FROM attempt"
_ACCEPTED: Final = "SELECT count(*) FROM attempt WHERE answer = 'accepted'"
_MILLISECONDS: Final = (
    "SELECT 1000 * extract(epoch FROM max(answered_at) - min(started_at)) FROM attempt"
)
_PATIENCE: Final = 120.0
# Calls at once. With 64 the worker waits for them: 309/s where 128 give 451/s, in one run.
_LINES: Final = "128"
# A worker as Celery starts it by default: as many messages at once as processes.
PREFORK: Final = ("--pool", "prefork", "--concurrency", "2")
# A carrier that is slow to answer, and whose callbacks come when the sends are over.
_SLOW: Final = ("--fault", "slow=1", "--slow-ms", "100", "--pace", "100000", "--keep-alive")


def accept_rates(
    database: str, seconds: float, rounds: int, sizes: Sequence[int]
) -> Iterator[float]:
    """Yield accepted messages a second, so many rounds of each of `sizes`: 1 for single posts."""
    with scratch() as directory, stack_on(directory, database) as stack:
        stack.stop("worker-send")  # what is sent meanwhile is another measurement
        key, kept = stack.flask("clients", "create", "bench"), directory / "requests"
        for batch in sizes:
            most = int(seconds * 12_000 / batch) if batch > 1 else int(seconds * 3000)
            for place in range(rounds):
                numbers = range(place * most, (place + 1) * most)
                load.write(kept, (_post(key, number, batch) for number in numbers))
                yield _accept(stack, kept, seconds, batch)


def _accept(stack: Stack, kept: Path, seconds: float, batch: int) -> float:
    database = stack.environment["DATABASE_URL"]
    before = count(database, _MESSAGES)
    seen = load.run(stack.url, kept, seconds, connections=4 if batch > 1 else 16)
    stored = count(database, _MESSAGES) - before
    if seen.refused or seen.broken or stored != seen.accepted * batch:
        raise Void(f"{seen.accepted * batch} messages were accepted, {stored} are stored: {seen}")
    return seen.rate * batch


def plain_rates(database: str, seconds: float, rounds: int) -> Iterator[float]:
    """Yield what a plain Flask view accepts that inserts one row and calls `apply_async`."""
    with scratch() as directory, plain_post(directory, database) as url:
        kept, most = directory / "requests", int(seconds * 3000)
        for place in range(rounds):
            numbers = range(place * most, (place + 1) * most)
            load.write(kept, (_post("", number, 1) for number in numbers))
            before = count(database, _PLAIN)
            seen = load.run(url, kept, seconds, connections=16)
            stored = count(database, _PLAIN) - before
            if seen.refused or seen.broken or stored != seen.accepted:
                raise Void(f"{seen.accepted} were accepted, {stored} are stored: {seen}")
            yield seen.rate


def send_rates(
    database: str, messages: int, rounds: int, pool: Sequence[str] = ()
) -> Iterator[float]:
    """Yield how many messages a second one send worker hands to a carrier that takes 100 ms.

    With `pool`, options of another of Celery's pools, each process hands over one at a time.
    """
    lines = "1" if pool else _LINES
    with (
        scratch() as directory,
        stack_on(directory, database, _SLOW, WORKER_CONCURRENCY=lines) as stack,
    ):
        stack.commands["worker-send"] = (*stack.commands["worker-send"], *pool)
        key = stack.flask("clients", "create", "bench")
        for _ in range(rounds):
            stack.stop("worker-send")
            begun = count(database, _CLOCK)
            _post_all(stack, key, messages)
            stack.start("worker-send")
            yield _send(stack, messages, begun)


def _post_all(stack: Stack, key: str, messages: int) -> None:
    for first in range(0, messages, BATCH):
        answer = requests.post(
            f"{stack.url}/v1/messages/batch",
            json=_batch(first, min(BATCH, messages - first)),
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
        )
        answer.raise_for_status()


def _send(stack: Stack, messages: int, begun: int) -> float:
    """Wait until everything is sent; return the rate from the first call to the last answer."""
    database, until = stack.environment["DATABASE_URL"], time.monotonic() + _PATIENCE
    while count(database, _UNSENT):
        if time.monotonic() > until:
            raise Void(f"{count(database, _UNSENT)} messages still wait after {_PATIENCE:.0f} s")
        time.sleep(0.5)
    since = f" WHERE started_at >= to_timestamp({begun} / 1000.0)"
    sent, accepted = count(database, _ATTEMPTS + since), count(database, _ACCEPTED)
    books = f"{stack.simulator_url}/_simulator/records?summary=1"
    created = requests.get(books, timeout=30).json()["creates"]["created"]
    if sent != messages or accepted != created:
        raise Void(f"{messages} posted, {sent} tried; {accepted} accepted, {created} at carrier")
    return 1000 * sent / count(database, _MILLISECONDS + since)


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
    return {"messages": [_message(first + place) for place in range(size)]}


def _message(number: int) -> dict[str, Any]:
    to = f"+1415{2_000_000 + number % 8_000_000}"
    return {"to": to, "body": f"Your parcel {number} is on its way."}
