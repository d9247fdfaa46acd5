"""Find the scope that an operator names: a provider, an account, a sender or a client."""

from collections.abc import Iterable

from service import addresses
from service.components import components
from service.domain.scope import Scope
from service.errors import FieldError, Invalid, NotFound
from service.holds.key import Key
from service.queries import clients


def scope_named(kind: str, name: str) -> Key:
    """Return the scope of a kind (provider, account, sender, client) with this name.

    Raises NotFound or Invalid, saying what to write instead.
    """
    find = {
        Scope.PROVIDER: _provider,
        Scope.ACCOUNT: _account,
        Scope.SENDER: _sender,
        Scope.CLIENT: _client,
    }
    return find[Scope(kind)](name.strip())


def account_names() -> list[str]:
    """Return the accounts that may be paused, as an operator writes them."""
    providers = components().real_providers.items()
    return [f"{name}/{account}" for name, provider in providers for account in provider.accounts]


def _provider(name: str) -> Key:
    if name not in components().real_providers:
        raise NotFound(f"there is no provider “{name}”; write {_list(components().real_providers)}")
    return Key(Scope.PROVIDER, name)


def _account(name: str) -> Key:
    provider, _, account = name.partition("/")
    configured = components().real_providers.get(provider)
    if configured is None or account not in configured.accounts:
        raise NotFound(f"there is no account “{name}”; write {_list(account_names())}")
    return Key(Scope.ACCOUNT, provider, account)


def _sender(name: str) -> Key:
    try:
        sender = addresses.service_or_sender(name, components().settings.default_region)
    except addresses.UnusableAddress as error:
        raise Invalid(f"the sender {error}", [FieldError("sender", str(error))]) from None
    return Key(Scope.SENDER, value=sender)


def _client(name: str) -> Key:
    client = clients.find(name)
    if client is None:
        raise NotFound(
            f"there is no client “{name}”; `flask --app service.app clients list` shows the names"
        )
    return Key(Scope.CLIENT, value=str(client.id))


def _list(names: Iterable[str]) -> str:
    return " or ".join(sorted(names)) or "nothing: none is configured"
