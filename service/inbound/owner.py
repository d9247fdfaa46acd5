"""Finds the clients to which inbound messages go, and the messages that they answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from service.addresses import channel_of, number_of
from service.providers.base import Inbound
from service.providers.sandbox import SANDBOX
from service.queries import replies, senders
from service.queries.replies import Answered, Conversation

# A message that is older is not what a person answers.
LONGEST: Final = timedelta(days=30)
# The provider tells times in seconds, by another clock.
_CLOCKS: Final = timedelta(seconds=5)


class Owner(NamedTuple):
    """The client that gets a message, and its own message that the person answered."""

    client_id: int | None
    in_reply_to: UUID | None = None


def owners_of(received: Sequence[Inbound]) -> list[Owner]:
    """Return the owner of each sender, else the client that wrote to the person last from it."""
    owned = senders.owners({sender for each in received for sender in _senders(each)})
    clients = [_owner_of_sender(each, owned) for each in received]
    named = _named(received, clients)
    unnamed = [place for place in range(len(received)) if place not in named]
    last = replies.last_of([_conversation(received[place], clients[place]) for place in unnamed])
    answered = {**named, **{unnamed[place]: message for place, message in last.items()}}
    return [_owner(client_id, answered.get(place)) for place, client_id in enumerate(clients)]


def _owner(client_id: int | None, answered: Answered | None) -> Owner:
    return Owner(client_id) if answered is None else Owner(answered.client_id, answered.id)


def _owner_of_sender(received: Inbound, owned: Mapping[str, int]) -> int | None:
    if received.provider == SANDBOX:  # a test key may use any sender; its client gets the answer
        return None
    return next((owned[sender] for sender in _senders(received) if sender in owned), None)


def _named(received: Sequence[Inbound], clients: Sequence[int | None]) -> dict[int, Answered]:
    """Return the messages that the provider names as answered, unless they are of another client.

    The key is the place of the inbound message.
    """
    attempts = replies.of_attempts(set(filter(None, (each.reply_to_attempt for each in received))))
    sids = replies.of_sids(set(filter(None, (each.reply_to_sid for each in received))))
    named = dict[int, Answered]()
    for place, each in enumerate(received):
        message = sids.get((each.provider, each.reply_to_sid or ""))
        if each.reply_to_attempt is not None:
            message = attempts.get(each.reply_to_attempt)
        if message is not None and clients[place] in (None, message.client_id):
            named[place] = message
    return named


def _conversation(received: Inbound, client_id: int | None) -> Conversation:
    written = _time(received)
    return Conversation(
        persons=_addresses(received.from_address),
        sender=received.to_address,
        service=received.messaging_service_sid,
        provider=received.provider,
        client_id=client_id,
        since=written - LONGEST,
        until=written,
    )


def _time(received: Inbound) -> datetime:
    """Return a time before which the answered message was accepted."""
    if received.provider_time is None:
        return received.received_at
    return min(received.provider_time + _CLOCKS, received.received_at)


def _addresses(address: str) -> list[str]:
    """Return the addresses of a person. A message to a plain number may go out over RCS."""
    if channel_of(address) not in ("sms", "rcs"):
        return [address]
    return [number_of(address), f"rcs:{number_of(address)}"]


def _senders(received: Inbound) -> list[str]:
    """Return our side of the conversation: the number, and its Messaging Service."""
    return [each for each in (received.to_address, received.messaging_service_sid) if each]
