"""Settings that hold a sender, in the one spelling that messages are compared by."""

from typing import Annotated

import phonenumbers
from pydantic import AfterValidator, BaseModel, Field, ValidationInfo

from service import addresses
from service.config.types import SenderRate, SenderRates


def _region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be a country of ISO 3166-1, such as GB")
    return value


def _sender(value: str, info: ValidationInfo) -> str:
    return addresses.sender(value, info.data.get("default_region"))


def _for_sms(value: str) -> str:
    if addresses.channel_of(value) != "sms":
        raise ValueError("must be a sender of SMS: this provider has no other channels")
    return value


def _rated(rates: tuple[SenderRate, ...], info: ValidationInfo) -> tuple[SenderRate, ...]:
    """Return rates with senders in the spelling of messages, so that each finds its sender."""
    region = info.data.get("default_region")
    spelled = tuple(_respelled(rate, region) for rate in rates)
    if len({rate.sender for rate in spelled}) < len(spelled):
        raise ValueError("names a sender twice")
    return spelled


def _respelled(rate: SenderRate, region: str | None) -> SenderRate:
    if rate.sender == "*":
        return rate
    try:
        sender = addresses.service_or_sender(rate.sender, region)
    except addresses.UnusableAddress as error:
        raise ValueError(f"has a key that is not a sender: it {error}") from None
    return SenderRate(sender=sender, rate=rate.rate)


class RegionSettings(BaseModel):
    """The country of numbers in national form. Read first: others are completed by it."""

    default_region: Annotated[str, AfterValidator(_region)] | None = Field(
        default=None,
        description="Country for numbers written without +; unset: such numbers are refused.",
    )


SenderSetting = Annotated[str, AfterValidator(_sender)]
SmsSenderSetting = Annotated[str, AfterValidator(_sender), AfterValidator(_for_sms)]
RatedSenders = Annotated[SenderRates, AfterValidator(_rated)]
ServiceSetting = Annotated[
    str, Field(pattern=r"^MG[0-9a-fA-F]{32}$"), AfterValidator(addresses.lower_id)
]
