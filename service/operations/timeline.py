"""Explain: one message's story in plain words, for somebody who was asleep a minute ago."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.status import Status, is_final
from service.errors import NotFound
from service.models import Attempt, Message, StatusEvent
from service.queries import message_details

_MOST_EVENTS = 1000


def explain(message_id: UUID) -> Iterator[str]:
    """Yield the story, line by line."""
    with transaction():
        try:
            message, attempts = message_details.with_attempts(message_id)
        except NotFound:
            yield "There is no such message."
            return
        events = message_details.events(message_id, _MOST_EVENTS)
    conflict = ", contradicted" if message.failed_in & message.delivered_in else ""
    yield f"Message {message.id} is {message.status}{conflict}."
    yield f"  {_time(message.created_at)}  accepted"
    yield from (line for _, line in sorted(_history(attempts, events), key=lambda one: one[0]))
    yield f"It waits for {waits_for(message)}."
    yield f"Next: {next_step(message)}."


def _history(
    attempts: Sequence[Attempt], events: Sequence[StatusEvent]
) -> Iterator[tuple[datetime, str]]:
    for one in attempts:
        begun = f"  {_time(one.started_at)}  attempt {one.number} ({one.id}): the call begins"
        yield one.started_at, begun
        if one.answered_at:
            answer = " ".join(filter(None, [one.answer, one.answer_code]))
            yield one.answered_at, f"  {_time(one.answered_at)}  attempt {one.number}: {answer}"
    for event in events:
        detail = " ".join(filter(None, [event.word, event.error_code, event.provider_time]))
        again = f", said {event.repeats + 1} times" if event.repeats else ""
        yield event.received_at, f"  {_time(event.received_at)}  {event.source}: {detail}{again}"


def waits_for(message: Message) -> str:
    """Say what a message waits for, to follow "it waits for"."""
    if is_final(message.status):
        return "nothing"
    if message.status is Status.PENDING:
        return f"its time, {_time(message.due_at)}, and a send worker"
    if message.status is Status.SUBMITTING:
        return "the answer to its call"
    if message.status is Status.IN_DOUBT and message.check_at is None:
        return "a person: two look like it (flask --app service.app resolve), or for a callback"
    if message.status is Status.IN_DOUBT:
        return "a callback, or a look-up that finds it"
    return "a callback of the provider"


def next_step(message: Message) -> str:
    """Say what happens next by itself, and when."""
    if is_final(message.status):
        return "nothing; a later statement would still be recorded"
    if message.status is Status.PENDING:
        expires = f"; it expires at {_time(message.expires_at)}" if message.expires_at else ""
        return f"whichever send worker is free claims it from {_time(message.due_at)} on{expires}"
    if message.status is Status.SUBMITTING:
        return f"its claim ends at {_time(message.claimed_until)}, then it is in doubt"
    if message.status is Status.IN_DOUBT and message.check_at is not None:
        lookups = f"{message.lookups + 1} of {components().settings.doubt_lookups}"
        policy = "sent again" if message.resend_if_unknown else "failed"
        return f"look-up {lookups} at {_time(message.check_at)}; without a find it is {policy}"
    if message.unknown_since is not None:
        return f"we stopped asking at {_time(message.unknown_since)}; its outcome is unknown"
    if message.check_at is None:
        return "nothing by itself"
    return f"the provider is asked at {_time(message.check_at)}"


def _time(moment: datetime | None) -> str:
    return "?" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
