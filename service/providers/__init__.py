"""The SMS providers, one package each. `base` has their common interface."""

from collections.abc import Mapping

from service.config.settings import Settings
from service.providers.base import Provider
from service.providers.sinch import Sinch
from service.providers.twilio import Twilio


def configured(settings: Settings) -> Mapping[str, Provider]:
    """Return the providers that the settings configure, by name."""
    providers: list[Provider] = [Twilio(settings)]
    if settings.sinch_service_plan_id is not None:
        providers.append(Sinch(settings))
    return {provider.name: provider for provider in providers}
