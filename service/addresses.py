"""Phone numbers, recipients and senders: every accepted spelling becomes one.

Everything that takes an address calls these functions: posts, filters, searches, commands and
settings. What lies behind them compares plain text.
"""

import re
import unicodedata
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, ValidationResult

# Channels that the messages API of a provider knows beside SMS. Others are refused by name: a
# message to a channel that nothing here carries must not go out as an SMS.
CHANNELS: Final = ("whatsapp", "rcs")

_EXAMPLE: Final = "write it in E.164 form, such as +14155552671"
_SENDERS: Final = (
    "a sender is a phone number in E.164 form, a short code, or a name of up to 11 characters"
)
_NUMBER: Final = re.compile(r"[ (]*(\+?)([0-9()\-./ ]*)")
_EXTENSION: Final = re.compile(r"ext|x\.? *[0-9]|#|;|,", re.IGNORECASE)
_SHORT_CODE: Final = re.compile(r"[0-9]{3,8}")
_NAME: Final = re.compile(r"[A-Za-z0-9 &_+-]+")
_LONGEST_NAME: Final = 11
_AGENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ID: Final = re.compile(r"([A-Z]{2})[0-9a-f]{32}", re.IGNORECASE)
# They change the order in which digits are shown: what a person read is not what was posted.
_OVERRIDES: Final = frozenset("\u202d\u202e")
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
# A country code and up to 15 digits in all, by ITU-T E.164.
_LONGEST: Final = 16
# Mobile numbers of Mexico had a 1 before their ten digits until August 2019.
_OLD_MEXICAN: Final = re.compile(r"1([0-9]{10})")
_MEXICO: Final = 52


class UnusableAddress(ValueError):
    """The text is not an address; the message says what is wrong and what to write instead."""


def recipient(text: str, region: str | None = None) -> str:
    """Return a recipient: a number in E.164 form, after its channel if it names one.

    `region` completes numbers in national form. Raises UnusableAddress.
    """
    channel, rest = _split(_plain(text))
    return _joined(channel, _number(rest, region))


def number(text: str, region: str | None = None) -> str:
    """Return the number of a recipient, whatever its channel. Raises UnusableAddress."""
    return number_of(recipient(text, region))


def sender(text: str, region: str | None = None) -> str:
    """Return a sender: a number, a short code, a name, or one of a channel.

    Raises UnusableAddress.
    """
    plain = _plain(text)
    channel, rest = _split(plain)
    if channel == "rcs":
        return _joined(channel, _agent(rest))
    if channel:
        return _joined(channel, _number(rest, region))
    if found := _ID.fullmatch(plain):
        raise UnusableAddress(_misplaced(found[1].upper()))
    if any(character.isalpha() for character in plain):
        return _name(plain)
    if _SHORT_CODE.fullmatch(plain):
        return _number_or_short_code(plain, region)
    return _number(plain, region)


def service_or_sender(text: str, region: str | None = None) -> str:
    """Return the id of a messaging service as it is, and anything else as a sender."""
    found = _ID.fullmatch(text.strip())
    if found and found[1].upper() == "MG":
        return lower_id(text.strip())
    return sender(text, region)


def lower_id(text: str) -> str:
    """Return an id such as `MG…` with its digits in lower case, as the provider writes it."""
    return text[:2].upper() + text[2:].lower()


def number_of(address: str) -> str:
    """Return an address without its channel."""
    return address.rpartition(":")[2]


def channel_of(address: str) -> str:
    """Return the channel of an address; `sms` where it names none."""
    return address.rpartition(":")[0] or "sms"


def addresses_of(address: str) -> list[str]:
    """Return every address that an address stands for: those of a plain number on all channels."""
    if ":" in address:
        return [address]
    return [address, *(f"{channel}:{address}" for channel in CHANNELS)]


def _plain(text: str) -> str:
    """Return the text as typed on a plain keyboard. Raises UnusableAddress.

    Numbers are copied from web pages, with marks for the direction of writing, no-break spaces,
    dashes, and digits of other scripts. Only decimal digits are read as digits, not superscripts.
    """
    if not _OVERRIDES.isdisjoint(text):
        raise UnusableAddress(f"has characters that reverse its digits: {_EXAMPLE}")
    if text.isascii():
        return text.strip()
    return "".join(map(_typed, text.translate(_FULL_WIDTH))).strip()


def _typed(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf":
        return ""
    if category == "Zs":
        return " "
    return "-" if category == "Pd" or character == "\u2212" else character


def _split(plain: str) -> tuple[str, str]:
    prefix, colon, rest = plain.partition(":")
    if not colon:
        return "", plain
    channel = prefix.strip().lower()
    if channel not in CHANNELS:
        known = " and ".join(f"{name}:" for name in CHANNELS)
        raise UnusableAddress(f"has an unknown channel: {known} are carried, or a plain number")
    return channel, rest.strip()


def _joined(channel: str, rest: str) -> str:
    return f"{channel}:{rest}" if channel else rest


def _number(plain: str, region: str | None) -> str:
    found = _NUMBER.fullmatch(plain)
    digits = re.sub("[^0-9]", "", plain)
    if found is None or not digits:
        raise UnusableAddress(_no_number(plain))
    is_whole = bool(found[1])
    if not is_whole and region is None:
        raise UnusableAddress(f"must begin with + and the country code: {_EXAMPLE}")
    parsed = _current(_parsed(found[1] + digits, region))
    _check_length(parsed)
    if not is_whole and region is not None:
        _check_doubt(digits, parsed, region)
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def _no_number(plain: str) -> str:
    if not any(character.isdigit() for character in plain):
        return f"is not a phone number: {_EXAMPLE}"
    if _EXTENSION.search(plain):
        return f"has an extension, which cannot get a message: leave it out, and {_EXAMPLE}"
    if any(character.isalpha() for character in plain):
        return f"has letters: {_EXAMPLE}"
    if "+" in plain[1:]:
        return f"has a + after its beginning; give one number: {_EXAMPLE}"
    return f"has characters that no phone number has: {_EXAMPLE}"


def _parsed(digits: str, region: str | None) -> PhoneNumber:
    try:
        return phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == error.INVALID_COUNTRY_CODE:
            raise UnusableAddress(f"has an unknown country code: {_EXAMPLE}") from None
        raise UnusableAddress(f"is not a phone number: {_EXAMPLE}") from None


def _current(parsed: PhoneNumber) -> PhoneNumber:
    """Return the number as it is dialled today, where an old form has exactly one new one."""
    old = parsed.country_code == _MEXICO and _OLD_MEXICAN.fullmatch(str(parsed.national_number))
    if old:
        return PhoneNumber(country_code=_MEXICO, national_number=int(old[1]))
    return parsed


def _check_length(parsed: PhoneNumber) -> None:
    """Refuse what cannot exist. Possible, not valid: plans change faster than libraries."""
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    written = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    country = f"country code +{parsed.country_code}"
    if reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise UnusableAddress(f"has no area code, or is too short for {country}: {_EXAMPLE}")
    if reason == ValidationResult.TOO_SHORT:
        raise UnusableAddress(f"is too short for {country}: {_EXAMPLE}")
    if reason == ValidationResult.TOO_LONG or len(written) > _LONGEST:
        raise UnusableAddress(f"is too long for {country}: {_EXAMPLE}")
    if reason != ValidationResult.IS_POSSIBLE:
        raise UnusableAddress(f"has a length that {country} does not have: {_EXAMPLE}")


def _check_doubt(digits: str, parsed: PhoneNumber, region: str) -> None:
    """Refuse digits that are one number in national form, and another with a + before them."""
    if not digits.startswith(str(phonenumbers.country_code_for_region(region))):
        return
    try:
        other = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return
    if other != parsed and phonenumbers.is_valid_number(other):
        raise UnusableAddress(f"can be read as two numbers: {_EXAMPLE}")


def _number_or_short_code(digits: str, region: str | None) -> str:
    """Return a short code, unless the digits are a whole number of the region: some have seven."""
    if region is not None and len(digits) > 6:
        parsed = _parsed(digits, region)
        if phonenumbers.is_valid_number(parsed):
            return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    return digits


def _name(plain: str) -> str:
    if len(plain) > _LONGEST_NAME:
        raise UnusableAddress(f"has {len(plain)} characters: {_SENDERS}")
    if not _NAME.fullmatch(plain):
        allowed = "letters A to Z, digits, spaces, and & _ + -"
        raise UnusableAddress(
            f"has characters that no sender has; a name has {allowed}: {_SENDERS}"
        )
    return plain


def _agent(plain: str) -> str:
    if not _AGENT.fullmatch(plain):
        raise UnusableAddress("rcs: needs the id of an agent: letters, digits, and . _ -")
    return plain


def _misplaced(kind: str) -> str:
    if kind == "MG":
        return "is the id of a messaging service: give it as messaging_service_sid"
    return f"is an id, not a sender: {_SENDERS}"
