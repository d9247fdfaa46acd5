"""Finds the client to which an inbound message goes, and the message that it answers."""

from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from service.models import Message
from service.providers.base import Inbound
from service.providers.sandbox import SANDBOX
from service.queries import replies, senders

# A message that is older is not what a person answers.
LONGEST: Final = timedelta(days=30)


class Owner(NamedTuple):
    """The client that is told of a message, and its message that the person answered."""

    client_id: int | None
    in_reply_to: UUID | None = None


def owner_of(received: Inbound) -> Owner:
    """Return the owner of the sender, else the client that wrote to the person last from it."""
    # A message of the sandbox goes to the client of the test key, not to the owner of the sender.
    owned = {} if received.provider == SANDBOX else senders.owners(_senders(received))
    client_id = next((owned[sender] for sender in _senders(received) if sender in owned), None)
    answered = _answered(received, client_id)
    if answered is None:
        return Owner(client_id)
    return Owner(answered.client_id if client_id is None else client_id, answered.id)


def _answered(received: Inbound, client_id: int | None) -> Message | None:
    named = _named(received)
    if named is not None and client_id in (None, named.client_id):
        return named
    since = received.received_at - LONGEST
    return replies.last_to([received.from_address], _senders(received), since, client_id)


def _named(received: Inbound) -> Message | None:
    """Return the message that the provider names as answered."""
    if received.reply_to_attempt is not None:
        return replies.of_attempt(received.reply_to_attempt)
    if received.reply_to_sid is not None:
        return replies.of_sid(received.provider, received.reply_to_sid)
    return None


def _senders(received: Inbound) -> list[str]:
    """Return our side of the conversation: the number, and its Messaging Service."""
    return [each for each in (received.to_address, received.messaging_service_sid) if each]
