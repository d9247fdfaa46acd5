"""The components that create_app() made, and how the rest finds them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import current_app
from flask.ctx import AppContext

from service.config.settings import Settings
from service.coordination.cache import Cache
from service.coordination.callback_checks import CallbackChecks
from service.coordination.heartbeats import Heartbeats
from service.coordination.sender_rate_limit import SenderRateLimit
from service.errors import NotAccepted
from service.inbox.overflow import OverflowTable
from service.inbox.stream import Inbox
from service.providers.base import Provider
from service.providers.call_slots import CallSlots
from service.task_queue.queue import TaskQueue


@dataclass(frozen=True, slots=True)
class Components:
    """What the application is made of."""

    settings: Settings
    providers: Mapping[str, Provider]
    inbox: Inbox
    overflow: OverflowTable
    queue: TaskQueue
    call_slots: CallSlots
    sender_rates: SenderRateLimit
    heartbeats: Heartbeats
    cache: Cache
    callback_checks: CallbackChecks
    context: Callable[[], AppContext]  # for the door that has no request's context

    def provider(self, name: str) -> Provider:
        """Return a provider. Raises NotAccepted while the settings do not describe it."""
        found = self.providers.get(name)
        if found is None:
            raise NotAccepted(f"{name} is not configured")
        return found


def components() -> Components:
    """Return the parts of the current application."""
    bound: Components = current_app.extensions["waybill"]
    return bound
