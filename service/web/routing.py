"""Which provider carries a message, and from which sender."""

from collections.abc import Mapping, Sequence

from service.addresses import channel_of, number_of
from service.config import Settings
from service.config_values import Route
from service.errors import FieldError, Invalid
from service.providers.contract import Provider, Sender
from service.web.schemas import NewMessage

Providers = Mapping[str, Provider]


def choose(asked: NewMessage, settings: Settings, providers: Providers) -> tuple[Provider, Sender]:
    """Return who carries a message, and its sender. Raises Invalid where that cannot be."""
    owners = _owners(asked, providers)
    name = asked.provider or _preferred(asked.to, settings, providers, owners)
    if name not in providers:
        known = ", ".join(sorted(providers))
        raise Invalid("no such provider", [FieldError("provider", f"must be one of: {known}")])
    _check_owners(name, owners)
    _check_fields(name, asked, providers)
    sender = _sender(asked, providers[name])
    if sender.address == asked.to:
        raise Invalid("nothing can be sent", [FieldError("from", "must not be the number of to")])
    return providers[name], sender


def route(to: str, routes: Sequence[Route], default: str) -> str:
    """Return the provider of the longest prefix that fits the number, whatever its channel."""
    number = number_of(to)
    fitting = [one for one in routes if one.prefix == "*" or number.startswith(one.prefix)]
    longest = max(fitting, key=lambda one: len(one.prefix.strip("*")), default=None)
    return longest.provider if longest else default


def _owners(asked: NewMessage, providers: Providers) -> dict[str, list[str]]:
    """Return which providers have the sender, for each field that names one of a provider's."""
    named = {
        "from": Sender(asked.sender),
        "messaging_service_sid": Sender(None, asked.messaging_service_sid),
    }
    owners = {
        field: [name for name, provider in providers.items() if provider.owns(sender)]
        for field, sender in named.items()
    }
    return {field: names for field, names in owners.items() if names}


def _preferred(
    to: str, settings: Settings, providers: Providers, owners: Mapping[str, Sequence[str]]
) -> str:
    """Return the provider that has the sender, else the one that the routes name."""
    routed = route(to, _usable(to, settings.sms_routes, providers), settings.default_provider)
    if not owners:
        return routed
    shared = [name for name in providers if all(name in names for names in owners.values())]
    if routed in shared or not shared:
        return routed
    return shared[0]


def _usable(to: str, routes: Sequence[Route], providers: Providers) -> list[Route]:
    """Return the routes whose provider carries the channel of this address."""
    deaf = {name for name, provider in providers.items() if provider.cannot_carry(to, ())}
    return [one for one in routes if one.provider not in deaf]


def _check_owners(name: str, owners: Mapping[str, Sequence[str]]) -> None:
    """Refuse a sender that another provider has."""
    errors = [
        FieldError(
            field,
            f"is a sender of {' and '.join(names)}, and the message goes out over {name}: "
            f"give a sender of {name}, or leave out provider",
        )
        for field, names in owners.items()
        if name not in names
    ]
    if errors:
        raise Invalid("the sender does not belong to the provider", errors)


def _check_fields(name: str, asked: NewMessage, providers: Providers) -> None:
    fields = [field for field in asked.model_fields_set if getattr(asked, field) is not None]
    misfits = providers[name].cannot_carry(asked.to, fields)
    if not misfits:
        return
    able = [other for other, one in providers.items() if not one.cannot_carry(asked.to, fields)]
    instead = f"name a provider that can: {', '.join(able)}" if able else "send it another way"
    problem = f"{name} cannot carry this: leave it out, or {instead}"
    raise Invalid(
        "the message does not fit its provider", [FieldError(field, problem) for field in misfits]
    )


def _sender(asked: NewMessage, provider: Provider) -> Sender:
    if asked.sender is None and asked.messaging_service_sid is None:
        return _default_sender(asked.to, provider)
    if asked.sender is not None and channel_of(asked.sender) != channel_of(asked.to):
        problem = (
            f"is a sender for {channel_of(asked.sender)}, and to is an address of "
            f"{channel_of(asked.to)}: give both on the same channel"
        )
        raise Invalid(
            "sender and recipient are on different channels", [FieldError("from", problem)]
        )
    return Sender(asked.sender, asked.messaging_service_sid)


def _default_sender(to: str, provider: Provider) -> Sender:
    default, channel = provider.default_sender(), channel_of(to)
    if default is None:
        problem = f"give from: the settings have no default for {provider.name}"
    elif default.address is None or channel_of(default.address) == channel:
        return default
    else:
        example = "" if channel == "sms" else f", such as {channel}:…"
        problem = (
            f"give from{example}, or messaging_service_sid: the default sender of "
            f"{provider.name} is for {channel_of(default.address)}, and to is for {channel}"
        )
    raise Invalid("the message has no sender", [FieldError("from", problem)])
