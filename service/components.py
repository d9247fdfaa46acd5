"""The components that create_app() builds, and access to those of the current application."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flask import current_app
from flask.ctx import AppContext

from service.config.settings import Settings
from service.coordination.cache import Cache
from service.coordination.callback_checks import CallbackChecks
from service.coordination.heartbeats import Heartbeats
from service.coordination.sender_rate_limit import SenderRateLimit
from service.errors import OWN_CODES, ErrorFact, NotAccepted
from service.inbox.inbox import Inbox
from service.inbox.overflow import OverflowTable
from service.providers.base import Account, Provider
from service.providers.call_slots import CallSlots
from service.providers.sandbox import SANDBOX
from service.task_queue.queue import TaskQueue
from service.webhook_client.client import WebhookClient
from service.webhook_client.slots import EndpointSlots

_UNCONFIGURED: Final = ErrorFact("A code of a provider that is no longer configured.", False)


@dataclass(frozen=True, slots=True)
class Components:
    """The components of an application."""

    settings: Settings
    providers: Mapping[str, Provider]
    inbox: Inbox
    overflow: OverflowTable
    queue: TaskQueue
    call_slots: CallSlots
    webhook_slots: EndpointSlots
    webhook_client: WebhookClient
    sender_rates: SenderRateLimit
    heartbeats: Heartbeats
    cache: Cache
    callback_checks: CallbackChecks
    context: Callable[[], AppContext]  # for code outside a request, such as the fast path

    @property
    def real_providers(self) -> dict[str, Provider]:
        """Return the configured providers, without the sandbox that test keys use."""
        return {name: each for name, each in self.providers.items() if name != SANDBOX}

    def explain(self, provider: str, code: str) -> ErrorFact:
        """Explain an error code: Waybill's or the provider's."""
        configured = self.providers.get(provider)
        if code in OWN_CODES:
            return OWN_CODES[code]
        return configured.explain(code) if configured else _UNCONFIGURED

    def account(self, provider: str, account: str) -> Account:
        """Return an account of a provider. Raises NotAccepted while it is not configured."""
        configured = self.providers.get(provider)
        if configured is None or account not in configured.accounts:
            raise NotAccepted(f"the account {account} of {provider} is not configured")
        return configured.accounts[account]


def components() -> Components:
    """Return the components of the current application."""
    bound: Components = current_app.extensions["waybill"]
    return bound
