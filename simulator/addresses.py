"""Parses and checks sender and recipient.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import re
from typing import Final

from simulator.error_codes import ApiError
from simulator.form import Form, last_value

_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_SHORT_CODE: Final = re.compile(r"\d{3,8}")
_ALPHANUMERIC: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")
_RCS_SENDER: Final = re.compile(r"[A-Za-z0-9_.-]+")
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")
_CHANNELS: Final = ("whatsapp", "rcs")


def read_addresses(form: Form) -> tuple[str, str | None, str | None]:
    """Return recipient, sender and Messaging Service. Raises ApiError."""
    to, sender = last_value(form, "To"), last_value(form, "From")
    service = last_value(form, "MessagingServiceSid")
    if not to:
        raise ApiError(21604)
    if sender and _SERVICE.fullmatch(sender):  # Twilio also accepts a service in From
        sender, service = None, sender
    _check_to(to)
    _check_from(to, sender, service)
    return to, sender, service


def _check_to(to: str) -> None:
    channel, number = _split(to)
    if not channel and _SHORT_CODE.fullmatch(to):
        raise ApiError(21265)
    if (channel and channel not in _CHANNELS) or not _E164.fullmatch(number):
        raise ApiError(21211, f"Invalid 'To' Phone Number: {to}")


def _check_from(to: str, sender: str | None, service: str | None) -> None:
    if not sender and not service:
        raise ApiError(21603)
    if service and not _SERVICE.fullmatch(service):
        raise ApiError(21705)
    if not sender:
        return
    if not _is_sender(sender):
        raise ApiError(21212, f"Invalid 'From' Phone Number: {sender}")
    if _split(sender)[0] != _split(to)[0]:
        raise ApiError(21910)
    if sender == to:
        raise ApiError(21266)


def _is_sender(sender: str) -> bool:
    channel, name = _split(sender)
    if channel == "rcs":
        return bool(_RCS_SENDER.fullmatch(name))
    if channel:
        return channel == "whatsapp" and bool(_E164.fullmatch(name))
    return any(pattern.fullmatch(name) for pattern in (_E164, _SHORT_CODE, _ALPHANUMERIC))


def _split(address: str) -> tuple[str, str]:
    channel, colon, rest = address.partition(":")
    return (channel, rest) if colon else ("", address)
