"""The keys of opt-outs: which recipient, from which sender, at which provider."""

from collections.abc import Callable

from service import addresses
from service.addresses import UnusableAddress, channel_of, is_service, number_of
from service.components import components
from service.errors import FieldError, Invalid
from service.providers.base import Sender
from service.providers.sandbox import SANDBOX
from service.queries.opt_outs import ALL, Pair, person_of


def pairs(number: str, sender: str | None, *, test: bool = False) -> list[Pair]:
    """Return the keys of a person's opt-out from a sender, or with None from every sender.

    A sender of a channel is one for the person's address on that channel. Raises Invalid.
    """
    person = person_of(_checked("number", addresses.recipient, number))
    normalised = listed_sender(sender)
    if normalised is None or normalised == ALL:
        return [Pair(person, ALL, SANDBOX if test else ALL)]
    if channel_of(person) == "sms" and channel_of(normalised) != "sms":
        person = person_of(f"{channel_of(normalised)}:{number_of(person)}")
    providers = [SANDBOX] if test else providers_of(normalised)
    return [Pair(person, normalised, provider) for provider in providers]


def providers_of(sender: str) -> list[str]:
    """Return the providers of which an account has the sender; if none has it, all."""
    named = Sender(None, sender) if is_service(sender) else Sender(sender)
    providers = components().real_providers
    owners = [
        name
        for name, provider in providers.items()
        if any(account.owns(named) for account in provider.accounts.values())
    ]
    return owners or list(providers)


def listed(number: str) -> list[str]:
    """Return the addresses under which opt-outs of a person are stored. Raises Invalid."""
    return addresses.addresses_of(person_of(_checked("number", addresses.recipient, number)))


def listed_sender(sender: str | None) -> str | None:
    """Return a sender as it is stored; `*` is every sender. Raises Invalid."""
    if sender is None or sender.strip() == ALL:
        return sender and ALL
    return _checked("sender", addresses.service_or_sender, sender)


def _checked(field: str, normalised: Callable[[str, str | None], str], text: str) -> str:
    try:
        return normalised(text, components().settings.default_region)
    except UnusableAddress as error:
        problem = [FieldError(field, str(error))]
        raise Invalid(f"the {field} is not usable", problem) from None
