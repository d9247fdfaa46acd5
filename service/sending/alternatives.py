"""The other providers of a message's route, which can take the message over."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from service.components import components
from service.holds.match import Subject
from service.models import Message
from service.providers.base import Sender
from service.providers.sandbox import SANDBOX
from service.sending.ownership import Owners
from service.sending.routes import Pair, default_sender, pairs

# Fields of a message that not every provider supports.
_FIELDS: Final = ("messaging_service_sid", "media_urls", "content_sid", "content_variables")


class Alternative(NamedTuple):
    """Another account that supports a message, and why it cannot send it all the same."""

    provider: str
    account: str
    sender: Sender
    refusal: str | None = None

    def subject(self, message: Message) -> Subject:
        """Return what holds on this account can be about."""
        return Subject(self.provider, self.account, self.sender.key, message.client_id, message.to)


def alternatives(message: Message, owners: Owners) -> list[Alternative]:
    """Return the other accounts of the route: those behind the present one, then those before."""
    after, before = _around(message)
    return _supporting(message, [*after, *before], owners)


def behind(message: Message, owners: Owners) -> list[Alternative]:
    """Return the accounts behind the present one that can send a message."""
    after, _ = _around(message)
    return [other for other in _supporting(message, after, owners) if other.refusal is None]


def first_of_route(
    message: Message, client_account: str | None, owners: Owners
) -> Alternative | None:
    """Return the first account of a message's route that can send it.

    None if the message stays where it is: that is the first, no other can send it, or the client
    named its provider.
    """
    if message.provider_fixed:
        return None
    route = pairs(message.to, components().settings, components().providers, client_account)
    for pair in route:
        if pair == (message.provider, message.account) and is_configured(message):
            return None
        other = _alternative(message, *pair, owners)
        if other is not None and other.refusal is None:
            return other
    return None


def is_configured(message: Message) -> bool:
    """Tell whether the settings have the provider and the account of a message."""
    provider = components().providers.get(message.provider)
    return provider is not None and message.account in provider.accounts


def _around(message: Message) -> tuple[list[Pair], list[Pair]]:
    """Return the route of a message behind its present account, and before it.

    A message whose provider the client named stays with it, and so does one that may have been
    sent already. A message of a test key never leaves the sandbox.
    """
    maybe_sent = message.attempts - 1 > (message.outcome_attempt or 0)
    if message.provider_fixed or maybe_sent or message.provider == SANDBOX:
        return [], []
    route = pairs(message.to, components().settings, components().providers)
    present = (message.provider, message.account)
    same = [pair for pair in route if pair[0] == message.provider]
    if not same:
        return route, []
    place = route.index(present if present in same else same[0])
    return route[place + 1 :], route[:place]


def _supporting(message: Message, accounts: Iterable[Pair], owners: Owners) -> list[Alternative]:
    candidates = (_alternative(message, *pair, owners) for pair in accounts)
    return [other for other in candidates if other is not None]


def _alternative(
    message: Message, provider_name: str, name: str, owners: Owners
) -> Alternative | None:
    """Return an account as an alternative; None if it has no sender or supports not all fields."""
    provider = components().providers[provider_name]
    account = provider.accounts[name]
    if message.sender_fixed:
        sender = Sender(message.sender, message.messaging_service_sid)
    elif (default := default_sender(account, message.to)) is not None:
        sender = default
    else:
        return None
    fields = [field for field in _FIELDS if getattr(message, field) is not None]
    if not message.sender_fixed and "messaging_service_sid" in fields:
        fields.remove("messaging_service_sid")  # the default sender replaces it
    if provider.unsupported_fields(message.to, fields):
        return None
    refusal = None
    if message.sender_fixed:
        refusal = None if account.owns(sender) else f"{provider_name} does not own the sender"
    elif not owners.allow(message.client_id, sender):
        refusal = f"the client does not own the sender of {provider_name}"
    return Alternative(provider_name, name, sender, refusal)
