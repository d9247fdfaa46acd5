"""Which providers and accounts may send to a recipient, in order."""

from collections.abc import Iterable, Mapping, Sequence

from service.addresses import channel_of, number_of
from service.config.routes import Route, Target
from service.config.settings import Settings
from service.providers.base import Account, Provider, Sender

Providers = Mapping[str, Provider]
Pair = tuple[str, str]  # the names of a provider and of one of its accounts


def targets(to: str, settings: Settings, providers: Providers) -> Sequence[Target]:
    """Return the targets for a recipient: those of the longest matching prefix, on any channel.

    Providers that do not support the channel are left out.
    """
    number = number_of(to)
    usable = [_usable(route, to, providers) for route in settings.sms_routes]
    matching = [
        route
        for route in usable
        if route.targets and (route.prefix == "*" or number.startswith(route.prefix))
    ]
    longest = max(matching, key=lambda route: len(route.prefix.strip("*")), default=None)
    return longest.targets if longest else (Target(provider=settings.fallback_provider),)


def pairs(
    to: str, settings: Settings, providers: Providers, client_account: str | None = None
) -> list[Pair]:
    """Return the accounts for a recipient, each with its provider, in the order of the route."""
    return list(
        dict.fromkeys(
            (
                target.provider,
                accounts_for(providers[target.provider], to, [client_account, target.account])[0],
            )
            for target in targets(to, settings, providers)
            if target.provider in providers
        )
    )


def _usable(route: Route, to: str, providers: Providers) -> Route:
    usable = tuple(
        target
        for target in route.targets
        if target.provider in providers
        and not providers[target.provider].unsupported_fields(to, ())
    )
    return Route(prefix=route.prefix, targets=usable)


def accounts_for(provider: Provider, to: str, names: Iterable[str | None] = ()) -> Sequence[str]:
    """Return the accounts of a provider: the named ones, then by the longest prefix of a route."""
    accounts, number = provider.accounts, number_of(to)
    by_prefix = sorted(accounts, key=lambda name: _match(accounts[name], number), reverse=True)
    named = [name for name in names if name is not None and name in accounts]
    return list(dict.fromkeys([*named, *by_prefix]))


def _match(account: Account, number: str) -> int:
    """Return the length of the longest prefix that matches; 1 for `*`, 0 for none."""
    lengths = (
        1 if prefix == "*" else len(prefix)
        for prefix in account.routes
        if prefix == "*" or number.startswith(prefix)
    )
    return max(lengths, default=0)


def default_sender(account: Account, to: str) -> Sender | None:
    """Return the sender of an account for messages that name none, if it fits the channel."""
    sender = account.default_sender()
    if sender is None or sender.address is None:
        return sender
    return sender if channel_of(sender.address) == channel_of(to) else None
