"""Inbound messages for operators: those without an owner, and one with what became of it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from service.components import components
from service.database import transaction
from service.errors import Conflict, Invalid, NotFound
from service.models import Client, InboundMessage, WebhookDelivery, WebhookEndpoint
from service.observability import events
from service.operations.webhooks import address, describe_delivery
from service.providers.sandbox import SANDBOX
from service.queries import clients, inbound_search, unowned_inbound, webhook_log
from service.queries.backlog import COUNT_LIMIT, Backlog
from service.queries.unowned_inbound import Received
from service.webhooks.owe import owe_received

# Messages of one action, which is one transaction.
MOST_GIVEN: Final = 500


_UNOWNED: Final = "It has no client: give it to one at /ops/inbound."


class ReceivedMessage(NamedTuple):
    """An inbound message, its client, and the deliveries of its event."""

    message: InboundMessage
    client: str | None
    deliveries: Sequence[tuple[WebhookDelivery, WebhookEndpoint]]


class Given(NamedTuple):
    """How many messages a client was given, and whether its events tell it of them."""

    number: int
    told: bool


class InboundFigures(NamedTuple):
    """Inbound messages of the last hour, and those of the last day without an owner."""

    last_hour: Received
    unowned: Backlog


def read_figures(now: datetime) -> InboundFigures:
    """Return the figures of the overview; counts stop at `COUNT_LIMIT`."""
    return InboundFigures(
        unowned_inbound.received(now - timedelta(hours=1), COUNT_LIMIT),
        unowned_inbound.count(now - timedelta(days=1), COUNT_LIMIT),
    )


def find(text: str) -> InboundMessage | None:
    """Return the inbound message with this id or SID, of any client."""
    try:
        return inbound_search.by_id(UUID(text))
    except ValueError:
        return inbound_search.by_sid(text, components().providers)


def read_received(message_id: UUID) -> ReceivedMessage:
    """Return one inbound message of any client. Raises NotFound."""
    message = _message(message_id)
    client = None if message.client_id is None else clients.name_of(message.client_id)
    return ReceivedMessage(message, client, webhook_log.of_message(message_id))


def explain(message_id: UUID) -> Iterator[str]:
    """Yield what became of an inbound message as lines of text."""
    try:
        message, client, deliveries = read_received(message_id)
    except NotFound:
        yield "There is no such message."
        return
    keyword = f", read as {message.keyword.upper()}" if message.keyword else ""
    yield f"Message {message.id} is inbound, received {_time(message.received_at)}{keyword}."
    yield f"  {message.provider}/{message.account} has it as {message.provider_sid}."
    answered = f"It answers message {message.in_reply_to}." if message.in_reply_to else ""
    yield f"Its client is {client}. {answered}" if client else _UNOWNED
    for delivery, endpoint in deliveries:
        yield f"  webhook to {address(endpoint.url)}: {describe_delivery(delivery, endpoint)}"


def give(message_id: UUID, name: str, operator: str, *, all_of_sender: bool = False) -> Given:
    """Give a message without an owner to a client, with its event and webhooks.

    `all_of_sender`: also the other messages without an owner to the same sender, up to 500 in all.
    Raises NotFound, Invalid for an unknown client, and Conflict if the message has an owner.
    """
    now = datetime.now(UTC)
    with transaction():
        message = _message(message_id)
        client = _client(name, test=message.provider == SANDBOX)
        others = _others(message) if all_of_sender else ()
        changed = unowned_inbound.give([message_id, *others][:MOST_GIVEN], client.id)
        if message_id not in changed:
            raise Conflict("the message has an owner already; reload the page")
        owe_received(changed)
    events.operator_action(
        operator, "inbound_given", message_id=message_id, client_id=client.id, messages=len(changed)
    )
    return Given(len(changed), client.events_since is not None and client.events_since <= now)


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _message(message_id: UUID) -> InboundMessage:
    message = inbound_search.by_id(message_id)
    if message is None:
        raise NotFound("there is no such inbound message")
    return message


def _others(message: InboundMessage) -> Sequence[UUID]:
    return unowned_inbound.to_sender(message.provider, message.to_address, MOST_GIVEN)


def _client(name: str, *, test: bool) -> Client:
    client = clients.find(name, test=test)
    if client is None:
        kind = "client for tests" if test else "client"
        raise Invalid(f"there is no {kind} {name!r}; `clients list` shows all")
    return client
