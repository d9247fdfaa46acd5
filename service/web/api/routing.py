"""Choose the provider, the account and the sender of a message."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from service.addresses import channel_of
from service.config.settings import Settings
from service.errors import FieldError, Invalid
from service.providers.base import Account, Provider, Sender
from service.sending.routes import Providers, accounts_for, default_sender, targets
from service.web.api.schemas import NewMessage

_RENAMED: Final = (
    "the provider test is now called sandbox. Leave provider out and post with a test key "
    "(wb_test_...), which always uses sandbox"
)


class Choice(NamedTuple):
    """The provider, account and sender of a message."""

    provider: str
    account: str
    sender: Sender


def choose(
    message: NewMessage,
    settings: Settings,
    providers: Providers,
    client_account: str | None = None,
) -> Choice:
    """Return who sends a message. Raises Invalid if provider, account or sender do not fit it.

    `client_account` is the account of a client's messages that name none.
    """
    _check_names(message, providers)
    owners = _owners(message, providers)
    preferred = sorted(
        _preferred(message, settings, providers, client_account),
        key=lambda pair: not _is_of_client(pair, message, providers, client_account),
    )
    pairs = [pair for pair in preferred if all(pair in owned for owned in owners.values())]
    if not pairs:
        _refuse_sender(message, preferred, owners)
    name, account_name = pairs[0]
    _check_fields(name, message, providers)
    account = providers[name].accounts[account_name]
    sender = _sender(message, providers[name], account)
    if sender.address == message.to:
        raise Invalid("sender and recipient are equal", [FieldError("from", "must differ from to")])
    return Choice(name, account_name, sender)


Pair = tuple[str, str]  # the names of a provider and of one of its accounts


def _check_names(message: NewMessage, providers: Providers) -> None:
    """Raise Invalid for an unknown provider or account."""
    if message.provider == "test":
        raise Invalid("no such provider", [FieldError("provider", _RENAMED)])
    if message.provider is not None and message.provider not in providers:
        names = ", ".join(sorted(providers))
        raise Invalid("unknown provider", [FieldError("provider", f"must be one of: {names}")])
    if message.account is None:
        return
    chosen = [message.provider] if message.provider else list(providers)
    accounts = sorted({name for provider in chosen for name in providers[provider].accounts})
    if message.account not in accounts:
        problem = f"must be an account of {' or '.join(chosen)}: {', '.join(accounts)}"
        raise Invalid("unknown account", [FieldError("account", problem)])


def _preferred(
    message: NewMessage, settings: Settings, providers: Providers, client_account: str | None
) -> Iterator[Pair]:
    """Yield the pairs that the request allows, the one to use first."""
    routed = targets(message.to, settings, providers)
    names = dict.fromkeys([*(target.provider for target in routed), *providers])
    for name in (message.provider,) if message.provider else names:
        if name not in providers:
            continue
        accounts = [target.account for target in routed if target.provider == name]
        for account in accounts_for(providers[name], message.to, [client_account, *accounts]):
            if message.account in (None, account):
                yield name, account


def _is_of_client(
    pair: Pair, message: NewMessage, providers: Providers, client_account: str | None
) -> bool:
    """Return whether this is the client's account, and its provider supports the recipient."""
    name, account = pair
    return account == client_account and not providers[name].unsupported_fields(message.to, ())


def _owners(message: NewMessage, providers: Providers) -> dict[str, set[Pair]]:
    """Return the pairs that have the sender, for each field that names a sender."""
    owners = {}
    if message.sender is not None:
        owners["from"] = _pairs_with(Sender(message.sender), providers)
    if message.messaging_service_sid is not None:
        service = message.messaging_service_sid
        owners["messaging_service_sid"] = _pairs_with(Sender(None, service), providers) or {
            (name, account)
            for name, provider in providers.items()
            for account in provider.accounts
            if provider.has_service(service)
        }
    return {field: pairs for field, pairs in owners.items() if pairs}


def _pairs_with(sender: Sender, providers: Providers) -> set[Pair]:
    return {
        (name, account_name)
        for name, provider in providers.items()
        for account_name, account in provider.accounts.items()
        if account.owns(sender)
    }


def _refuse_sender(
    message: NewMessage, preferred: list[Pair], owners: Mapping[str, set[Pair]]
) -> None:
    """Raise Invalid for a sender that only another provider or account has."""
    name, account = preferred[0]
    errors = []
    left_out = "provider" if message.account is None else "account"
    for field, owned in owners.items():
        if (name, account) in owned:
            continue
        if any(owner == name for owner, _ in owned):
            present = f"the account {account} of {name}"
            others = " and ".join(sorted(other for owner, other in owned if owner == name))
        else:
            present = name
            others = " and ".join(sorted({owner for owner, _ in owned}))
        errors.append(
            FieldError(
                field,
                f"must be a sender of {present}, but belongs to {others}; "
                f"use another sender, or leave out {left_out}",
            )
        )
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
    if message.account is not None and any(
        message.account not in providers[o].accounts for o in others
    ):
        problem += ", or leave out account"
    if others:
        problem += f", or set provider to {' or '.join(others)}"
    raise Invalid(
        f"{name} does not support this message",
        [FieldError(field, problem) for field in unsupported],
    )


def _sender(message: NewMessage, provider: Provider, account: Account) -> Sender:
    if message.sender is None and message.messaging_service_sid is None:
        return _default_sender(message.to, provider, account)
    if message.sender is not None and channel_of(message.sender) != channel_of(message.to):
        problem = (
            f"must be on the channel of to, which is {channel_of(message.to)}, "
            f"but is on {channel_of(message.sender)}"
        )
        raise Invalid(
            "sender and recipient are on different channels", [FieldError("from", problem)]
        )
    return Sender(message.sender, message.messaging_service_sid)


def _default_sender(to: str, provider: Provider, account: Account) -> Sender:
    default, channel = account.default_sender(), channel_of(to)
    if default is None or default.address is None:
        if default is not None:
            return default
        problem = f"is required: no default sender is configured for {provider.name}"
    elif (fitting := default_sender(account, to)) is not None:
        return fitting
    else:
        example = "" if channel == "sms" else f" (such as {channel}:…)"
        problem = (
            f"is required{example}, or messaging_service_sid: to is on {channel}, but the default "
            f"sender of {provider.name} is on {channel_of(default.address)}"
        )
    raise Invalid("the message has no sender", [FieldError("from", problem)])
