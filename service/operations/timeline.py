"""The timeline of one message: what happened, what it waits for, and what happens next."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.status import Status, is_final
from service.errors import NotFound
from service.holds import waiting
from service.models import Attempt, Hold, Message, StatusEvent, WebhookDelivery, WebhookEndpoint
from service.operations import inbound
from service.operations.webhooks import address, describe_delivery
from service.queries import message_details, webhook_log
from service.queries.message_details import Tries
from service.sending.failover import MOVED, NOT_MOVED

MAX_EVENTS: Final = 1000
# Different answers to attempts without an effect.
_MAX_TRIES: Final = 50
# What our own entries about failover say, before their details.
MOVES: Final = {MOVED: "moved from", NOT_MOVED: "not moved:"}


class Entry(NamedTuple):
    """One thing that happened: a call or its answer has an attempt, an event its ledger row.

    All attempts without an effect that had the same answer are one entry, at the last of them. A
    webhook delivery is one entry, at its last attempt.
    """

    at: datetime
    kind: str  # accepted, call, answer, event, tries, webhook
    attempt: Attempt | None = None
    event: StatusEvent | None = None
    tries: Tries | None = None
    delivery: WebhookDelivery | None = None
    endpoint: WebhookEndpoint | None = None


class Timeline(NamedTuple):
    """A message with everything that happened to it, oldest first."""

    message: Message
    entries: list[Entry]
    truncated: bool
    hold: Hold | None = None  # for which it waits

    @property
    def is_contradicted(self) -> bool:
        """Tell whether one attempt was reported as failed and as delivered."""
        return bool(self.message.failed_in & self.message.delivered_in)


def read_timeline(message_id: UUID) -> Timeline:
    """Return the timeline of any client's message. Raises NotFound."""
    message, attempts = message_details.with_attempts(message_id)
    events = message_details.events(message_id, MAX_EVENTS)
    tries = message_details.tries(message_id, _MAX_TRIES)
    webhooks = [_webhook(*row) for row in webhook_log.of_message(message_id)]
    entries = [*_entries(message, attempts, events), *map(_tries, tries), *webhooks]
    entries.sort(key=lambda entry: entry.at)
    truncated = len(events) == MAX_EVENTS
    return Timeline(message, entries, truncated, waiting.hold_of(message))


def explain(message_id: UUID) -> Iterator[str]:
    """Yield the timeline of a message as lines of text, or what became of an inbound one."""
    with transaction():
        try:
            timeline = read_timeline(message_id)
        except NotFound:
            yield from inbound.explain(message_id)
            return
    message = timeline.message
    conflict = ", contradicted" if timeline.is_contradicted else ""
    yield f"Message {message.id} is {message.status}{conflict}."
    yield from (f"  {_time(entry.at)}  {_describe(entry)}" for entry in timeline.entries)
    yield f"It waits for {waits_for(message, timeline.hold)}."
    yield f"Next: {next_step(message, timeline.hold)}."


def waits_for(message: Message, hold: Hold | None = None) -> str:
    """Return what a message waits for, to follow "it waits for"."""
    if hold is not None:
        end = "release" if hold.ended_at else "end"
        since = _time(hold.started_at)
        return f"the {end} of hold {hold.id}: {waiting.reason(hold)}, since {since}"
    if is_final(message.status):
        return "nothing"
    if message.status is Status.PENDING:
        return f"its time, {_time(message.due_at)}, and a send worker"
    if message.status is Status.SUBMITTING:
        return "the provider's answer to the send"
    if message.status is Status.IN_DOUBT and message.check_at is None:
        return "a decision (flask --app wsgi resolve), or a callback: several messages match"
    if message.status is Status.IN_DOUBT:
        return "a callback, or a look-up that finds it"
    return "a callback from the provider"


def next_step(message: Message, hold: Hold | None = None) -> str:
    """Return what happens next without a person, and when."""
    if hold is not None:
        expires = f"it expires at {_time(message.expires_at)}"
        if hold.probe_at is None:
            return f"nothing until the hold ends; {expires}"
        return f"one message tries the block at {_time(hold.probe_at)} or later; {expires}"
    if is_final(message.status):
        return "nothing; a later report is still recorded"
    if message.status is Status.PENDING:
        expires = f"; it expires at {_time(message.expires_at)}" if message.expires_at else ""
        return f"a send worker claims it at {_time(message.due_at)} or later{expires}"
    if message.status is Status.SUBMITTING:
        return f"it becomes in_doubt when its claim expires at {_time(message.claimed_until)}"
    if message.status is Status.IN_DOUBT and message.check_at is not None:
        look_up = f"{message.lookups + 1} of {components().settings.doubt_lookups}"
        policy = "sent again" if message.resend_if_unknown else "failed"
        time = _time(message.check_at)
        return f"look-up {look_up} at {time}; if the last one finds nothing, it is {policy}"
    if message.unknown_since is not None:
        return f"nothing; polling ended at {_time(message.unknown_since)} with an unknown outcome"
    if message.check_at is None:
        return "nothing without a callback or a decision"
    return f"the provider is polled at {_time(message.check_at)}"


def _entries(
    message: Message, attempts: Sequence[Attempt], events: Sequence[StatusEvent]
) -> Iterator[Entry]:
    yield Entry(message.created_at, "accepted")
    for attempt in attempts:
        yield Entry(attempt.started_at, "call", attempt)
        if attempt.answered_at is not None:
            yield Entry(attempt.answered_at, "answer", attempt)
    for event in events:
        yield Entry(event.received_at, "event", None, event)


def _tries(tries: Tries) -> Entry:
    return Entry(tries.last, "tries", tries=tries)


def _webhook(delivery: WebhookDelivery, endpoint: WebhookEndpoint) -> Entry:
    at = delivery.attempted_at or delivery.created_at
    return Entry(at, "webhook", delivery=delivery, endpoint=endpoint)


def describe_tries(tries: Tries) -> str:
    """Return what attempts without an effect had for an answer, and how many there were."""
    times = "once" if tries.number == 1 else f"{tries.number} times since {_time(tries.first)}"
    code = f", code {tries.code}" if tries.code else ""
    answer = (tries.answer or "not_accepted").replace("_", " ")
    return f"{answer} by {tries.provider}/{tries.account} {times}{code}"


def _describe(entry: Entry) -> str:
    attempt, event = entry.attempt, entry.event
    if entry.tries is not None:
        return describe_tries(entry.tries)
    if entry.delivery is not None and entry.endpoint is not None:
        result = describe_delivery(entry.delivery, entry.endpoint)
        return f"webhook to {address(entry.endpoint.url)}: {result}"
    if event is not None and event.word in MOVES:
        return f"{MOVES[event.word]} {event.provider_time}"
    if event is not None:
        details = " ".join(filter(None, [event.word, event.error_code, event.provider_time]))
        repeats = f", received {event.repeats + 1} times" if event.repeats else ""
        return f"{event.source}: {details}{repeats}"
    if attempt is None:
        return entry.kind
    if entry.kind == "call":
        return f"attempt {attempt.number} ({attempt.id}): call started"
    answer = " ".join(filter(None, [attempt.answer, attempt.answer_code]))
    return f"attempt {attempt.number}: {answer}"


def _time(time: datetime | None) -> str:
    return "?" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
