"""Find the scope that an operator names: a provider, an account, a sender or a client."""

from collections.abc import Iterable, Mapping

from service import addresses
from service.components import components
from service.domain.scope import Scope
from service.errors import FieldError, Invalid, NotFound
from service.holds.key import Key
from service.providers.base import Provider
from service.providers.sandbox import SANDBOX
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


def _provider(name: str) -> Key:
    if name not in _providers():
        raise NotFound(f"there is no provider “{name}”; write {_list(_providers())}")
    return Key(Scope.PROVIDER, name)


def _account(name: str) -> Key:
    provider, _, account = name.partition("/")
    configured = _providers().get(provider)
    if configured is None or account not in configured.accounts:
        accounts = (f"{name}/{one}" for name, each in _providers().items() for one in each.accounts)
        raise NotFound(f"there is no account “{name}”; write {_list(accounts)}")
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


def _providers() -> Mapping[str, Provider]:
    """Return the providers that send: the sandbox sends nothing, and is never held."""
    return {name: each for name, each in components().providers.items() if name != SANDBOX}


def _list(names: Iterable[str]) -> str:
    return " or ".join(sorted(names)) or "nothing: none is configured"
