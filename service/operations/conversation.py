"""The conversation with a person: what was sent to them and what they wrote, in one timeline."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.addresses import addresses_of
from service.models import InboundMessage, Message, OptOut
from service.operations import opt_outs
from service.queries import clients, inbound_search, search


class Entry(NamedTuple):
    """One message: either one that was sent, or one that was received."""

    id: UUID
    at: datetime
    sent: Message | None = None
    received: InboundMessage | None = None


class Conversation(NamedTuple):
    """Messages to and from a person, newest first, and the opt-outs of the person.

    `older` is the id before which the next page starts; None on the last page.
    """

    person: str
    entries: list[Entry]
    older: UUID | None
    opt_outs: Sequence[OptOut]
    clients: dict[int, str]


def read_conversation(person: str, before: UUID | None, limit: int) -> Conversation:
    """Return a page of the messages to and from a person, on every channel of a plain number."""
    addresses = addresses_of(person)
    sent = search.by_recipient(addresses, before, limit + 1)
    received = inbound_search.from_addresses(addresses, before, limit + 1)
    entries = [
        *(Entry(message.id, message.created_at, sent=message) for message in sent),
        *(Entry(message.id, message.received_at, received=message) for message in received),
    ]
    entries.sort(key=lambda entry: entry.id.int, reverse=True)
    page = entries[:limit]
    older = page[-1].id if len(entries) > limit else None
    return Conversation(
        person, page, older, opt_outs.of_person(person), clients.names(_clients(page))
    )


def has_written(person: str) -> bool:
    """Return whether there is a message from this person."""
    return bool(inbound_search.from_addresses(addresses_of(person), None, 1))


def _clients(entries: Sequence[Entry]) -> set[int]:
    messages = [entry.sent or entry.received for entry in entries]
    ids = {message.client_id for message in messages if message is not None}
    return {client_id for client_id in ids if client_id is not None}
