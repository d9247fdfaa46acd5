"""Choose the provider and the sender of a message."""

from collections.abc import Mapping, Sequence
from typing import Final

from service.addresses import channel_of, number_of
from service.config.settings import Settings
from service.config.types import Route
from service.errors import FieldError, Invalid
from service.providers.base import Provider, Sender
from service.web.api.schemas import NewMessage

Providers = Mapping[str, Provider]

_RENAMED: Final = (
    "the provider test is now called sandbox. Leave provider out and post with a test key "
    "(wb_test_...), which always uses sandbox"
)


def choose(
    message: NewMessage, settings: Settings, providers: Providers
) -> tuple[Provider, Sender]:
    """Return provider and sender of a message. Raises Invalid if they do not fit the message."""
    owners = _owners(message, providers)
    name = message.provider or _preferred(message.to, settings, providers, owners)
    if name == "test":
        raise Invalid("no such provider", [FieldError("provider", _RENAMED)])
    if name not in providers:
        names = ", ".join(sorted(providers))
        raise Invalid("unknown provider", [FieldError("provider", f"must be one of: {names}")])
    _check_owners(name, owners)
    _check_fields(name, message, providers)
    sender = _sender(message, providers[name])
    if sender.address == message.to:
        raise Invalid("sender and recipient are equal", [FieldError("from", "must differ from to")])
    return providers[name], sender


def route(to: str, routes: Sequence[Route], default: str) -> str:
    """Return the provider of the longest prefix that matches the number, on any channel."""
    number = number_of(to)
    matching = [rule for rule in routes if rule.prefix == "*" or number.startswith(rule.prefix)]
    longest = max(matching, key=lambda rule: len(rule.prefix.strip("*")), default=None)
    return longest.provider if longest else default


def _owners(message: NewMessage, providers: Providers) -> dict[str, list[str]]:
    """Return the providers that have the sender, for each field that names a sender."""
    senders = {
        "from": Sender(message.sender),
        "messaging_service_sid": Sender(None, message.messaging_service_sid),
    }
    owners = {
        field: [name for name, provider in providers.items() if provider.owns(sender)]
        for field, sender in senders.items()
    }
    return {field: names for field, names in owners.items() if names}


def _preferred(
    to: str, settings: Settings, providers: Providers, owners: Mapping[str, Sequence[str]]
) -> str:
    """Return the provider that has the sender, else the provider of the routes."""
    routed = route(to, _usable(to, settings.sms_routes, providers), settings.default_provider)
    if not owners:
        return routed
    shared = [name for name in providers if all(name in names for names in owners.values())]
    if routed in shared or not shared:
        return routed
    return shared[0]


def _usable(to: str, routes: Sequence[Route], providers: Providers) -> list[Route]:
    """Return the routes whose provider supports the channel of this address."""
    unsupported = {
        name for name, provider in providers.items() if provider.unsupported_fields(to, ())
    }
    return [rule for rule in routes if rule.provider not in unsupported]


def _check_owners(name: str, owners: Mapping[str, Sequence[str]]) -> None:
    """Raise Invalid for a sender that only another provider has."""
    errors = [
        FieldError(
            field,
            f"must be a sender of {name}, but belongs to {' and '.join(names)}; "
            "use another sender, or leave out provider",
        )
        for field, names in owners.items()
        if name not in names
    ]
    if errors:
        raise Invalid("the sender does not belong to the provider", errors)


def _check_fields(name: str, message: NewMessage, providers: Providers) -> None:
    fields = [field for field in message.model_fields_set if getattr(message, field) is not None]
    unsupported = providers[name].unsupported_fields(message.to, fields)
    if not unsupported:
        return
    others = [
        other
        for other, provider in providers.items()
        if not provider.unsupported_fields(message.to, fields)
    ]
    problem = f"is not supported by {name}; leave it out"
    if others:
        problem += f", or set provider to {' or '.join(others)}"
    raise Invalid(
        f"{name} does not support this message",
        [FieldError(field, problem) for field in unsupported],
    )


def _sender(message: NewMessage, provider: Provider) -> Sender:
    if message.sender is None and message.messaging_service_sid is None:
        return _default_sender(message.to, provider)
    if message.sender is not None and channel_of(message.sender) != channel_of(message.to):
        problem = (
            f"must be on the channel of to, which is {channel_of(message.to)}, "
            f"but is on {channel_of(message.sender)}"
        )
        raise Invalid(
            "sender and recipient are on different channels", [FieldError("from", problem)]
        )
    return Sender(message.sender, message.messaging_service_sid)


def _default_sender(to: str, provider: Provider) -> Sender:
    default, channel = provider.default_sender(), channel_of(to)
    if default is None:
        problem = f"is required: no default sender is configured for {provider.name}"
    elif default.address is None or channel_of(default.address) == channel:
        return default
    else:
        example = "" if channel == "sms" else f" (such as {channel}:…)"
        problem = (
            f"is required{example}, or messaging_service_sid: to is on {channel}, but the default "
            f"sender of {provider.name} is on {channel_of(default.address)}"
        )
    raise Invalid("the message has no sender", [FieldError("from", problem)])
