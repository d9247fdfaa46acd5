"""The carriers, one folder each. `contract` says what Waybill asks of them."""

from collections.abc import Mapping

from service.config.settings import Settings
from service.providers.base import Provider
from service.providers.sinch import Sinch
from service.providers.twilio import Twilio


def configured(settings: Settings) -> Mapping[str, Provider]:
    """Return every provider that the settings describe, by name."""
    providers: list[Provider] = [Twilio(settings)]
    if settings.sinch_service_plan_id is not None:
        providers.append(Sinch(settings))
    return {provider.name: provider for provider in providers}
