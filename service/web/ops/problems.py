"""What an operator must know first, in plain sentences: whether anything is stuck or lost."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from service.operations.overview import QUEUES, Overview, Waiting
from service.queries.overview import Heap
from service.web.ops.formatting import duration, heap

_SLOW: Final = 30.0
_STUCK: Final = 120.0
# A rate of so few says nothing.
_TELLING: Final = 20


class Concern(NamedTuple):
    """One sentence; `grave` when something stands still, `place` is where the page says more."""

    grave: bool
    sentence: str
    place: str


def concerns(seen: Overview) -> list[Concern]:
    """Return what is to be looked at, the gravest first."""
    found = [*_redis(seen), *_sends(seen), *_callbacks(seen), *_people(seen)]
    return sorted(found, key=lambda one: not one.grave)


def delivered_rate(totals: dict[str, int]) -> float | None:
    """Return the part of the finished messages that arrived; None while none has finished."""
    finished = totals["delivered"] + totals["failed"]
    return totals["delivered"] / finished if finished else None


def _redis(seen: Overview) -> Iterator[Concern]:
    if seen.waiting is None:
        yield Concern(
            True,
            "Redis does not answer. Messages and callbacks are kept in the database meanwhile; "
            "nothing is sent.",
            "machinery",
        )
        return
    yield from _replicas(seen.waiting)


def _replicas(waiting: Waiting) -> Iterator[Concern]:
    if not any(one.kind == "beat" for one in waiting.alive):
        yield Concern(True, "No beat is alive: nothing that is stuck will be found.", "machinery")
    for queue in QUEUES:
        if not any(queue in one.queues for one in waiting.alive):
            said = f"No worker takes from the queue “{queue}”."
            yield Concern(True, said, "machinery")
    for one in waiting.gone:
        said = f"{one.kind.capitalize()} {one.name} is gone, last seen at {one.seen:%H:%M:%S}."
        yield Concern(False, said, "machinery")


def _sends(seen: Overview) -> Iterator[Concern]:
    late = _late(seen.heaps.due, seen.now)
    if late > _SLOW:
        waits = _told(seen.heaps.due, "message waits", "messages wait")
        said = f"{waits} to be sent, the oldest for {duration(late)}."
        yield Concern(late > _STUCK, said, "machinery")
    if seen.heaps.claims.number:
        said = _told(seen.heaps.claims, "message was", "messages were")
        said += " claimed by a worker that fell silent, and the sweep that frees them does not run."
        yield Concern(True, said, "machinery")
    if seen.heaps.checks.number:
        late = _late(seen.heaps.checks, seen.now)
        said = _told(seen.heaps.checks, "message", "messages")
        said += f" should have been asked about, the first {duration(late)} ago."
        yield Concern(False, said, "machinery")


def _callbacks(seen: Overview) -> Iterator[Concern]:
    for refused, advice in seen.refused:
        # Not grave: where no callback is due, a stranger's are the only ones.
        sentence = (
            f"All callbacks of {refused.provider} are refused: {advice.fault} ({refused.number:,} "
            f"refused in the last minute, none accepted). {advice.remedy}"
        )
        yield Concern(False, sentence, "machinery")
    if seen.waiting is not None and seen.waiting.inbox_age > _SLOW:
        said = (
            f"{seen.waiting.inbox:,} in the inbox: callbacks wait to be recorded, the oldest for "
            f"{duration(seen.waiting.inbox_age)}."
        )
        yield Concern(seen.waiting.inbox_age > _STUCK, said, "machinery")
    if seen.heaps.overflow.number:
        said = _told(seen.heaps.overflow, "callback is", "callbacks are")
        yield Concern(False, f"{said} kept in the database until Redis has room.", "machinery")


def _people(seen: Overview) -> Iterator[Concern]:
    if seen.heaps.people.number:
        said = _told(seen.heaps.people, "message in doubt needs", "messages in doubt need")
        yield Concern(False, f"{said} your decision.", "doubts")
    if seen.heaps.dead.number:
        said = _told(seen.heaps.dead, "callback", "callbacks")
        yield Concern(False, f"{said} could not be recorded.", "letters")
    if seen.heaps.unknown.number:
        said = _told(seen.heaps.unknown, "message", "messages")
        yield Concern(False, f"{said} of the last 24 hours: outcome unknown for good.", "failures")


def _told(of: Heap, one: str, many: str) -> str:
    return f"{heap(of)} {one if of.number == 1 else many}"


def _late(heap: Heap, now: datetime) -> float:
    return (now - heap.oldest).total_seconds() if heap.oldest else 0.0
