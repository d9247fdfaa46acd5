"""Measures how fast status workers empty a full inbox."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import callbacks
from bench.rounds import InvalidResult, scratch
from bench.waybill import ServingWaybill, fill, stack_on
from service.app import create_app
from service.components import components
from service.config.settings import Settings
from service.providers.base import Callback
from service.task_queue.queue import CONSUME_INBOX, STATUS

_TIMEOUT: Final = 120.0
_POLL_INTERVAL: Final = 0.01
_RESUME: Final = 0.001  # the shortest pause: it ends the longer one


def drain_rates(
    count: int,
    rounds: int,
    database: str | None = None,
    workers: Sequence[int] = (1,),
) -> Iterator[list[float]]:
    """Yield recorded callbacks per second for each number of workers; on SQLite by default."""
    with scratch() as directory, running_stack(directory, database) as serving:
        for number in workers:
            set_workers(serving, number)
            await_workers(serving, number)
            # The first drain is not measured: workers connect and prepare statements.
            drain_once(serving, count // 10)
            yield [drain_once(serving, count) for _ in range(rounds)]


def set_workers(serving: ServingWaybill, number: int) -> None:
    """Start status workers until there are `number`."""
    stack = serving.stack
    for each in range(2, number + 1):
        name, command = f"worker-status-{each}", stack.commands["worker-status"]
        if name not in stack.commands:
            stack.commands[name] = (*command[:-1], f"{name}@%h")
            stack.start(name)


@contextmanager
def running_stack(
    directory: Path, database: str | None, **settings: str
) -> Iterator[ServingWaybill]:
    """Run a stack; on SQLite by default."""
    database = database or f"sqlite:///{directory}/waybill.db"
    with stack_on(directory, database, **settings) as stack:
        yield ServingWaybill(stack)


def drain_once(
    serving: ServingWaybill,
    count: int,
    observing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> float:
    """Fill the inbox while workers pause; return callbacks recorded per second.

    The workers drain it inside `observing`. Raises InvalidResult when the counts differ.
    """
    before, messages = serving.recorded(), callbacks.make_messages(count // len(callbacks.STATUSES))
    app = create_app(Settings.load(serving.stack.environment))
    with app.app_context():
        components().inbox.pause(_TIMEOUT)
        fill(serving.stack, messages)
        stored = _fill_inbox(messages)
        components().inbox.pause(_RESUME)
        components().queue.enqueue(CONSUME_INBOX)
    with observing():
        rate = _drain_rate(serving)
    recorded = serving.recorded() - before
    if recorded != stored:
        raise InvalidResult(f"{stored} callbacks in the inbox, but {recorded} recorded")
    return rate


def await_workers(serving: ServingWaybill, replicas: int) -> None:
    """Wait for the heartbeats of the workers. Raises InvalidResult after 120 s."""
    deadline, alive = time.monotonic() + _TIMEOUT, 0
    with create_app(Settings.load(serving.stack.environment)).app_context():
        while alive < replicas:
            if time.monotonic() > deadline:
                waited = f"after {_TIMEOUT:.0f} s"
                raise InvalidResult(f"{alive} of {replicas} workers run {waited}")
            time.sleep(_POLL_INTERVAL)
            alive = sum(STATUS in worker.queues for worker in components().heartbeats.alive())


def _fill_inbox(messages: Sequence[callbacks.SentMessage]) -> int:
    """Store all callbacks in the inbox; return their number."""
    signed = list(callbacks.callbacks(messages))
    for callback in signed:
        attempt = callback.path.rpartition("/")[2]
        components().inbox.put(Callback("twilio", attempt, callback.body, datetime.now(UTC)))
    return len(signed)


def _drain_rate(serving: ServingWaybill) -> float:
    """Return callbacks recorded per second, from the first batch to the last."""
    full = serving.backlog()
    remaining, start = _await_backlog(serving, full - 1)
    _, end = _await_backlog(serving, 0)
    return remaining / (end - start)


def _await_backlog(serving: ServingWaybill, limit: int) -> tuple[int, float]:
    """Wait until the backlog is at most `limit`; return the backlog and the time."""
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        backlog = serving.backlog()
        if backlog <= limit:
            return backlog, time.monotonic()
        time.sleep(_POLL_INTERVAL)
    raise InvalidResult(f"{serving.backlog()} callbacks not recorded after {_TIMEOUT:.0f} s")
