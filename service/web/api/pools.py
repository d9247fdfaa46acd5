"""Choose the sender of a message from a pool of its client."""

from collections.abc import Callable, Collection
from typing import Final

from service.addresses import channel_of, is_service
from service.errors import FieldError, Invalid
from service.sending.client_senders import ClientSenders
from service.sending.pools import PREFIX, ranked
from service.web.api.routing import Choice
from service.web.api.schemas import NewMessage

# Names that an error lists.
_MOST_LISTED: Final = 5


def choose_from_pool(
    message: NewMessage, choosing: Callable[[NewMessage], Choice], senders: ClientSenders
) -> Choice:
    """Return the first sender of the pool that fits the message and that no hold blocks.

    A recipient keeps its sender, also if a hold blocks it: the message then waits. Raises Invalid.
    """
    weights, last_used = _members(message, senders), senders.last_used.get(message.to)
    held, refusals = list[Choice](), list[Invalid]()
    for member in ranked(weights, message.to, last_used):
        try:
            choice = choosing(_with_sender(message, member))
        except Invalid as invalid:
            refusals.append(invalid)
            continue
        if member == last_used or not senders.is_held(message.to, *choice):
            return choice
        held.append(choice)
    if held:
        return held[0]
    raise Invalid("no sender of the pool fits the message", refusals[0].errors)


def enumerated(names: Collection[str]) -> str:
    """Return the first names, and how many there are more."""
    ordered = sorted(names)
    text, more = ", ".join(ordered[:_MOST_LISTED]), len(ordered) - _MOST_LISTED
    return f"{text} and {more} more" if more > 0 else text


def _members(message: NewMessage, senders: ClientSenders) -> dict[str, float]:
    """Return the senders of the pool for the channel of the recipient. Raises Invalid."""
    if message.messaging_service_sid is not None:
        problem = "must be left out with a pool in from; send one of them"
        raise Invalid("the message has two senders", [FieldError("messaging_service_sid", problem)])
    name, channel = (message.sender or "").removeprefix(PREFIX), channel_of(message.to)
    members = {
        sender: weight
        for sender, weight in senders.pools.get(name, {}).items()
        if is_service(sender) or channel_of(sender) == channel
    }
    if not members:
        problem = _no_members(senders.pools, channel)
        raise Invalid("the pool has no sender for the message", [FieldError("from", problem)])
    return members


def _no_members(pools: Collection[str], channel: str) -> str:
    yours = f"your pools are: {enumerated(pools)}" if pools else "you have no pool"
    return (
        f"must be a pool of your client with a sender for {channel}; {yours}. An operator can add "
        "senders (clients senders add --pool)"
    )


def _with_sender(message: NewMessage, member: str) -> NewMessage:
    named = "messaging_service_sid" if is_service(member) else "sender"
    return message.model_copy(update={"sender": None, named: member})
