"""Oversee: what operators must know at a glance. Reads only, and names what did not answer."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError

from service.components import components
from service.coordination.callback_checks import Refusals
from service.coordination.circuit_breaker import CircuitOpen
from service.coordination.heartbeats import Replica
from service.database import db
from service.models import DeadLetter, Message
from service.operations import activity
from service.operations.activity import Minute
from service.providers.base import RefusalAdvice
from service.queries import callbacks as aside
from service.queries import overview
from service.queries.overview import Heap
from service.task_queue.queue import ROUTES

# Times are taken of so many of the latest callbacks, and shown of so many doubts and letters.
_SAMPLE: Final = 500
LISTED: Final = 8
# Seconds after which a look leaves the rest of its counting to the next, and after which it leaves
# the rest altogether while somebody waits for it.
_PATIENCE: Final = 0.2
_HURRY: Final = 0.05
# For so long a replica that fell silent stays on the page, as gone.
_REMEMBERED: Final = timedelta(minutes=15)
# A sweep that finds something overdue by less than this is on its way.
_GRACE: Final = timedelta(seconds=60)

QUEUES: Final = tuple(sorted(set(ROUTES.values())))


class Percentiles(NamedTuple):
    """Seconds within which half, 95 and 99 of a hundred happened, and of how many that is said."""

    half: float
    most: float
    nearly_all: float
    number: int


class Times(NamedTuple):
    """From acceptance to proof of delivery, and from callback to ledger; None where none came."""

    delivery: Percentiles | None
    recording: Percentiles | None


class Heaps(NamedTuple):
    """What waits in the database, each for something of its own."""

    due: Heap  # for a send worker
    claims: Heap  # for the sweep, their worker gone
    checks: Heap  # for a question to the provider
    unknown: Heap  # for nothing any more: given up within a day
    overflow: Heap  # for room in Redis
    dead: Heap  # for a person: callbacks that could not be recorded
    doubt: Heap  # for a callback, a look-up or a person
    people: Heap  # for a person: those in doubt that no look-up can decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits in Redis; None as a whole while Redis does not answer."""

    inbox: int
    inbox_age: float  # seconds
    queues: dict[str, int]
    alive: list[Replica]
    gone: list[Replica]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole page, as data."""

    now: datetime
    messages: list[Minute]
    callbacks: list[Minute]
    times: Times | None  # None where the look was too hurried to take any
    heaps: Heaps
    doubts: Sequence[Message]
    letters: Sequence[DeadLetter]
    waiting: Waiting | None
    refused: list[tuple[Refusals, RefusalAdvice]]  # where no callback of the provider was accepted

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing of what changes from look to look was left out."""
        latest = (self.messages[-1], self.callbacks[-1])
        return self.times is not None and all(minute.counts is not None for minute in latest)


def oversee(*, hurried: bool = False) -> Overview:
    """Look at everything; hurried, at least at what waits and who is there.

    Raises what the database raises when it does not answer.
    """
    now = datetime.now(UTC)
    waiting = _waiting(now)
    # Without Redis no look is kept, and none would be made whole for whoever asks next.
    hurried = hurried and waiting is not None
    until = time.monotonic() + (_HURRY if hurried else _PATIENCE)
    at_least = 0 if hurried else 1
    try:
        heaps = _heaps(now)
        return Overview(
            now=now,
            heaps=heaps,
            doubts=overview.doubts(LISTED) if heaps.doubt.number else (),
            letters=aside.dead_letters(LISTED) if heaps.dead.number else (),
            waiting=waiting,
            refused=_refused(),
            times=None if hurried and time.monotonic() > until else _times(now),
            messages=activity.last_hour("messages", now, until, at_least),
            callbacks=activity.last_hour("callbacks", now, until, at_least),
        )
    finally:
        db.session.close()


def percentiles(seconds: Sequence[float]) -> Percentiles | None:
    """Return the nearest-rank percentiles; None of nothing."""
    if not seconds:
        return None
    ordered, number = sorted(seconds), len(seconds)
    half, most, nearly = (ordered[math.ceil(number * part) - 1] for part in (0.5, 0.95, 0.99))
    return Percentiles(half, most, nearly, number)


def _heaps(now: datetime) -> Heaps:
    measured = overview.measure(
        now=now, ended=now - _GRACE, overdue=now - 2 * _GRACE, lately=now - timedelta(days=1)
    )
    return Heaps(**measured)


def _times(now: datetime) -> Times:
    delivery, recording = [], []
    for one in overview.latest_callbacks(now - timedelta(hours=1), _SAMPLE):
        if one.recorded_at is not None:
            recording.append(_between(one.received_at, one.recorded_at))
        if one.created_at is not None:
            begun = max(one.created_at, one.send_at or one.created_at)
            delivery.append(_between(begun, one.received_at))
    return Times(percentiles(delivery), percentiles(recording))


def _between(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())


def _waiting(now: datetime) -> Waiting | None:
    try:
        alive = components().heartbeats.alive()
        return Waiting(
            inbox=components().inbox.lag(),
            inbox_age=components().inbox.oldest_age(),
            queues={queue: components().queue.waiting(queue)[0] for queue in QUEUES},
            alive=alive,
            gone=_gone(alive, now),
        )
    except (RedisError, CircuitOpen):
        return None


def _refused() -> list[tuple[Refusals, RefusalAdvice]]:
    """Return what is refused of providers that nothing is accepted of, and what to do about it."""
    known = components().providers
    refused = [one for one in components().callback_checks.all_refused() if one.provider in known]
    advice = [known[one.provider].refusal_advice().get(one.reason) for one in refused]
    return [(one, told) for one, told in zip(refused, advice, strict=True) if told]


def _gone(alive: Sequence[Replica], now: datetime) -> list[Replica]:
    """Return who was alive a while ago and is no more, and remember who is."""
    [before] = components().cache.read(["replicas"])
    known: dict[tuple[str, str], Replica] = {
        (one.kind, one.name): one for one in map(_remembered, before or [])
    }
    here = {(one.kind, one.name) for one in alive}
    gone = [one for key, one in known.items() if key not in here and now - one.seen < _REMEMBERED]
    kept = [_row(one) for one in (*alive, *gone)]
    components().cache.put({"replicas": kept}, _REMEMBERED.total_seconds())
    return sorted(gone)


def _row(one: Replica) -> list[Any]:
    return [one.kind, one.name, one.queues, one.since.timestamp(), one.seen.timestamp()]


def _remembered(row: Sequence[Any]) -> Replica:
    kind, name, queues, since, seen = row
    moments = (datetime.fromtimestamp(one, UTC) for one in (since, seen))
    return Replica(kind, name, tuple(queues), *moments)
