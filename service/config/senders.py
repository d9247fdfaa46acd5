"""Settings with senders, normalised like the senders of messages."""

from collections.abc import Mapping
from typing import Annotated

import phonenumbers
from pydantic import AfterValidator, BaseModel, Field, ValidationInfo

from service import addresses
from service.config.types import SenderRate, SenderRates


def _region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be a country code of ISO 3166-1, such as GB")
    return value


def _default_region(info: ValidationInfo) -> str | None:
    """Return the country of numbers without +: of the settings, or of the context of a file."""
    region: str | None = (info.context or info.data).get("default_region")
    return region


def _sender(value: str, info: ValidationInfo) -> str:
    return addresses.sender(value, _default_region(info))


def _for_sms(value: str) -> str:
    if addresses.channel_of(value) != "sms":
        raise ValueError("must be a sender for SMS: this provider supports no other channel")
    return value


def _rated(rates: tuple[SenderRate, ...], info: ValidationInfo) -> tuple[SenderRate, ...]:
    """Return the rates with normalised senders."""
    region = _default_region(info)
    normalised = tuple(_normalised(rate, region) for rate in rates)
    if len({rate.sender for rate in normalised}) < len(normalised):
        raise ValueError("must not name a sender twice")
    return normalised


def _normalised(rate: SenderRate, region: str | None) -> SenderRate:
    if rate.sender == "*":
        return rate
    try:
        sender = addresses.service_or_sender(rate.sender, region)
    except addresses.UnusableAddress as error:
        raise ValueError(f"has an invalid sender, which {error}") from None
    return SenderRate(sender=sender, rate=rate.rate)


def rates_by_sender(rates: Mapping[str, float], info: ValidationInfo) -> Mapping[str, float]:
    """Return the rates of a table by normalised sender. Raises ValueError."""
    rated = _rated(tuple(SenderRate(sender=name, rate=rate) for name, rate in rates.items()), info)
    return {each.sender: each.rate for each in rated}


class RegionSettings(BaseModel):
    """The country of numbers without +. Validated first: other settings use it."""

    default_region: Annotated[str, AfterValidator(_region)] | None = Field(
        default=None,
        description="Country of numbers written without +, as two capital letters. Unset: such "
        "numbers are refused.",
    )


SenderSetting = Annotated[str, AfterValidator(_sender)]
SmsSenderSetting = Annotated[str, AfterValidator(_sender), AfterValidator(_for_sms)]
RatedSenders = Annotated[SenderRates, AfterValidator(_rated)]
ServiceSetting = Annotated[
    str, Field(pattern=r"^MG[0-9a-fA-F]{32}$"), AfterValidator(addresses.lower_id)
]
