"""Choose the sender of a message among those that its client may use."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from service import addresses
from service.config.settings import Settings
from service.errors import FieldError, Invalid
from service.providers.base import Sender
from service.queries.clients import KeyOwner
from service.sending.client_senders import ClientSenders, load
from service.sending.pools import is_pool
from service.sending.routes import Providers
from service.web.api.pools import choose_from_pool, enumerated
from service.web.api.routing import Choice, choose
from service.web.api.schemas import NewMessage

_MAX_LENGTH: Final = 255  # of a recipient; longer ones are refused later


def senders_of(client: KeyOwner, requests: Iterable[Any], region: str | None) -> ClientSenders:
    """Load the senders of a client for these requests, which are not validated yet."""
    pooled = [request for request in requests if _names_pool(request)]
    if not pooled:
        return load(client.id, None)
    return load(client.id, {to for request in pooled for to in _recipient(request, region)})


def choose_sender(
    message: NewMessage,
    settings: Settings,
    providers: Providers,
    client_account: str | None,
    senders: ClientSenders,
) -> Choice:
    """Return who sends a message. Raises Invalid if no sender of the client fits it."""
    choosing = partial(
        choose, settings=settings, providers=providers, client_account=client_account
    )
    if message.sender is not None and is_pool(message.sender):
        return choose_from_pool(message, choosing, senders)
    choice = choosing(message)
    _check_owner(message, choice.sender, senders)
    return choice


def _names_pool(request: Any) -> bool:
    sender = request.get("from") if isinstance(request, dict) else None
    return isinstance(sender, str) and is_pool(sender)


def _recipient(request: Any, region: str | None) -> Iterator[str]:
    """Yield the recipient of a request, unless it is invalid."""
    to = request.get("to")
    if isinstance(to, str) and len(to) <= _MAX_LENGTH:
        try:
            yield addresses.recipient(to, region)
        except addresses.UnusableAddress:
            return


def _check_owner(message: NewMessage, chosen: Sender, senders: ClientSenders) -> None:
    """Raise Invalid if the client may not use the sender, or the Messaging Service beside it."""
    fields = {"from": chosen.address, "messaging_service_sid": chosen.messaging_service_sid}
    refused = [field for field, sender in fields.items() if sender and not senders.allow(sender)]
    if not refused:
        return
    problem = "must be a sender of your client"
    if message.sender is None and message.messaging_service_sid is None:
        refused, problem = ["from"], "is required: the default sender is not your client's"
    yours = f"yours are: {enumerated(senders.owned)}" if senders.owned else "you have none"
    problem = f"{problem}; {yours}. An operator can add senders (clients senders add)"
    raise Invalid(
        "the sender does not belong to your client",
        [FieldError(field, problem) for field in refused],
    )
