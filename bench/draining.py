"""How fast one status worker empties a full inbox."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import callbacks
from bench.rounds import Void, scratch
from bench.waybill import ServingWaybill, fill, stack_on
from demo.stack import Stack
from service.app import create_app
from service.components import components
from service.config.settings import Settings
from service.providers.base import Callback
from service.task_queue.queue import CONSUME_INBOX, STATUS

_PATIENCE: Final = 120.0
_TICK: Final = 0.01
_OVER: Final = 0.001  # a rest that is over at once


def drain_rates(
    count: int, rounds: int, database: str | None = None, replicas: int = 1
) -> Iterator[list[float]]:
    """Yield recorded callbacks a second, of one worker, then of one more, up to `replicas`.

    Each from the first batch on; on SQLite without `database`.
    """
    with scratch() as directory, standing(directory, database) as serving:
        for number in range(1, replicas + 1):
            if number > 1:
                _add_worker(serving.stack, number)
            _await_workers(serving, number)
            # The first is of workers that have yet to connect and to have statements prepared.
            drain_once(serving, count // 10)
            yield [drain_once(serving, count) for _ in range(rounds)]


def _add_worker(stack: Stack, number: int) -> None:
    name, command = f"worker-status-{number}", stack.commands["worker-status"]
    stack.commands[name] = (*command[:-1], f"{name}@%h")
    stack.start(name)


@contextmanager
def standing(directory: Path, database: str | None) -> Iterator[ServingWaybill]:
    """Run a stack to drain; on SQLite without `database`."""
    with stack_on(directory, database or f"sqlite:///{directory}/waybill.db") as stack:
        yield ServingWaybill(stack)


def drain_once(serving: ServingWaybill, count: int) -> float:
    """Fill the inbox while the workers rest; return how fast they empty it. Raises Void."""
    before, messages = serving.recorded(), callbacks.sent(count // len(callbacks.WORDS))
    app = create_app(Settings.load(serving.stack.environment))
    with app.app_context():
        components().inbox.pause(_PATIENCE)
        fill(serving.stack, messages)
        put = _put(messages)
        components().inbox.pause(_OVER)
        components().queue.enqueue(CONSUME_INBOX)
    rate = _until_empty(serving)
    recorded = serving.recorded() - before
    if recorded != put:
        raise Void(f"{put} callbacks were put into the inbox, {recorded} are recorded")
    return rate


def _await_workers(serving: ServingWaybill, replicas: int) -> None:
    """Wait until so many workers drain. Raises Void when they do not."""
    until, alive = time.monotonic() + _PATIENCE, 0
    with create_app(Settings.load(serving.stack.environment)).app_context():
        while alive < replicas:
            if time.monotonic() > until:
                raise Void(f"{alive} of {replicas} workers are there after {_PATIENCE:.0f} s")
            time.sleep(_TICK)
            alive = sum(STATUS in one.queues for one in components().heartbeats.alive())


def _put(messages: Sequence[callbacks.Sent]) -> int:
    """Put all callbacks into the inbox as the web server does; return how many."""
    made = list(callbacks.callbacks(messages))
    for one in made:
        attempt = one.path.rpartition("/")[2]
        components().inbox.put(Callback("twilio", attempt, one.body, datetime.now(UTC)))
    return len(made)


def _until_empty(serving: ServingWaybill) -> float:
    """Watch the backlog; return how fast it went, once it had begun to."""
    full = serving.backlog()
    rest, began = _await(serving, full - 1)
    _, ended = _await(serving, 0)
    return rest / (ended - began)


def _await(serving: ServingWaybill, most: int) -> tuple[int, float]:
    """Wait until no more than `most` callbacks wait; return how many do, and when that was."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        left = serving.backlog()
        if left <= most:
            return left, time.monotonic()
        time.sleep(_TICK)
    raise Void(f"{serving.backlog()} callbacks still wait after {_PATIENCE:.0f} s")
