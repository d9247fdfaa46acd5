"""The SMS providers, one package each. `base` has their common interface."""

from collections.abc import Callable, Mapping

from service.config.settings import Settings
from service.providers.base import Provider
from service.providers.sinch import Sinch
from service.providers.twilio import Twilio


def configured(settings: Settings) -> Mapping[str, Provider]:
    """Return the providers that have accounts, by name."""
    kinds: Mapping[str, Callable[[Settings], Provider]] = {"twilio": Twilio, "sinch": Sinch}
    return {name: kinds[name](settings) for name in settings.accounts}
