"""Normalise phone numbers, recipients and senders.

Posts, filters, searches, commands and settings normalise addresses with these functions. All other
code compares addresses as plain text.
"""

import re
from typing import Final

from service.addresses.characters import plain as as_plain
from service.addresses.errors import UnusableAddress
from service.addresses.numbers import e164, valid_in

__all__ = ["UnusableAddress"]

# Channels beside SMS. Other prefixes are refused: such a message must not be sent as an SMS.
CHANNELS: Final = ("whatsapp", "rcs")

_SENDERS: Final = (
    "a sender is a phone number in E.164 form, a short code, or a name of up to 11 characters"
)
_SHORT_CODE: Final = re.compile(r"[0-9]{3,8}")
_NAME: Final = re.compile(r"[A-Za-z0-9 &_+-]+")
_MAX_NAME: Final = 11
_AGENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ID: Final = re.compile(r"([A-Z]{2})[0-9a-f]{32}", re.IGNORECASE)


def recipient(text: str, region: str | None = None) -> str:
    """Return a recipient: a number in E.164 form, with its channel if it has one.

    `region` completes numbers in national form. Raises UnusableAddress.
    """
    channel, rest = _split(as_plain(text))
    return _joined(channel, e164(rest, region))


def number(text: str, region: str | None = None) -> str:
    """Return the number of a recipient, without its channel. Raises UnusableAddress."""
    return number_of(recipient(text, region))


def sender(text: str, region: str | None = None) -> str:
    """Return a sender: a number, a short code, a name, or a sender of a channel.

    Raises UnusableAddress.
    """
    plain = as_plain(text)
    channel, rest = _split(plain)
    if channel == "rcs":
        return _joined(channel, _agent(rest))
    if channel:
        return _joined(channel, e164(rest, region))
    if sid := _ID.fullmatch(plain):
        raise UnusableAddress(_not_a_sender(sid[1].upper()))
    if any(character.isalpha() for character in plain):
        return _name(plain)
    if _SHORT_CODE.fullmatch(plain):
        return _number_or_short_code(plain, region)
    return e164(plain, region)


def service_or_sender(text: str, region: str | None = None) -> str:
    """Return a sender, or the id of a Messaging Service. Raises UnusableAddress."""
    if is_service(service := lower_id(text.strip())):
        return service
    return sender(text, region)


def is_service(sender: str) -> bool:
    """Return whether a normalised sender is the id of a Messaging Service."""
    return sender.startswith("MG") and _ID.fullmatch(sender) is not None


def lower_id(text: str) -> str:
    """Return an id such as `MG…` with lower-case digits, as the provider writes it."""
    return text[:2].upper() + text[2:].lower()


def number_of(address: str) -> str:
    """Return an address without its channel."""
    return address.rpartition(":")[2]


def channel_of(address: str) -> str:
    """Return the channel of an address: `sms` if it has no prefix."""
    return address.rpartition(":")[0] or "sms"


def addresses_of(address: str) -> list[str]:
    """Return the addresses that an address matches: a plain number matches every channel."""
    if ":" in address:
        return [address]
    return [address, *(f"{channel}:{address}" for channel in CHANNELS)]


def _split(plain: str) -> tuple[str, str]:
    prefix, colon, rest = plain.partition(":")
    if not colon:
        return "", plain
    channel = prefix.strip().lower()
    if channel not in CHANNELS:
        supported = " or ".join(f"{name}:" for name in CHANNELS)
        raise UnusableAddress(f"has an unknown channel: use {supported}, or a number for SMS")
    return channel, rest.strip()


def _joined(channel: str, rest: str) -> str:
    return f"{channel}:{rest}" if channel else rest


def _number_or_short_code(digits: str, region: str | None) -> str:
    """Return a number of the region or a short code: numbers of some regions have 7 digits."""
    if region is not None and len(digits) > 6:
        return valid_in(region, digits) or digits
    return digits


def _name(plain: str) -> str:
    if len(plain) > _MAX_NAME:
        raise UnusableAddress(f"has {len(plain)} characters: {_SENDERS}")
    if not _NAME.fullmatch(plain):
        raise UnusableAddress(
            f"has invalid characters: a name has letters A to Z, digits, spaces, and & _ + -; "
            f"{_SENDERS}"
        )
    return plain


def _agent(plain: str) -> str:
    if not _AGENT.fullmatch(plain):
        raise UnusableAddress("must have the id of an agent after rcs: letters, digits, and . _ -")
    return plain


def _not_a_sender(kind: str) -> str:
    if kind == "MG":
        return "is the id of a Messaging Service: use messaging_service_sid for it"
    return f"is an id, not a sender: {_SENDERS}"
