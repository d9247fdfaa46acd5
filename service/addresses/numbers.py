"""Convert phone numbers to E.164 form."""

import re
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, ValidationResult

from service.addresses.errors import EXAMPLE, UnusableAddress

_NUMBER: Final = re.compile(r"[ (]*(\+?)([0-9()\-./ ]*)")
_EXTENSION: Final = re.compile(r"ext|x\.? *[0-9]|#|;|,", re.IGNORECASE)
# A plus sign and up to 15 digits, by ITU-T E.164.
_MAX_LENGTH: Final = 16
# Mexican mobile numbers had a 1 before their ten digits until August 2019.
_OLD_MEXICAN: Final = re.compile(r"1([0-9]{10})")
_MEXICO: Final = 52


def e164(plain: str, region: str | None) -> str:
    """Return a number in E.164 form. `region` completes the national form.

    Raises UnusableAddress.
    """
    match = _NUMBER.fullmatch(plain)
    digits = re.sub("[^0-9]", "", plain)
    if match is None or not digits:
        raise UnusableAddress(_no_number(plain))
    is_international = bool(match[1])
    if not is_international and region is None:
        raise UnusableAddress(f"must begin with + and the country code: {EXAMPLE}")
    parsed = _current(_parsed(match[1] + digits, region))
    _check_length(parsed)
    if not is_international and region is not None:
        _check_ambiguous(digits, parsed, region)
    return _written(parsed)


def valid_in(region: str, digits: str) -> str | None:
    """Return digits in E.164 form if they are a valid number of the region."""
    parsed = _parsed(digits, region)
    return _written(parsed) if phonenumbers.is_valid_number(parsed) else None


def _no_number(plain: str) -> str:
    if not any(character.isdigit() for character in plain):
        return f"is not a phone number: {EXAMPLE}"
    if _EXTENSION.search(plain):
        return f"has an extension: leave it out, and {EXAMPLE}"
    if any(character.isalpha() for character in plain):
        return f"has letters: {EXAMPLE}"
    if "+" in plain[1:]:
        return f"has a + after the first character: give one number, and {EXAMPLE}"
    return f"has characters that no phone number has: {EXAMPLE}"


def _parsed(digits: str, region: str | None) -> PhoneNumber:
    try:
        return phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == error.INVALID_COUNTRY_CODE:
            raise UnusableAddress(f"has an unknown country code: {EXAMPLE}") from None
        raise UnusableAddress(f"is not a phone number: {EXAMPLE}") from None


def _current(parsed: PhoneNumber) -> PhoneNumber:
    """Return the number in its current form: old Mexican mobile numbers lose a 1."""
    old = parsed.country_code == _MEXICO and _OLD_MEXICAN.fullmatch(str(parsed.national_number))
    if old:
        return PhoneNumber(country_code=_MEXICO, national_number=int(old[1]))
    return parsed


def _check_length(parsed: PhoneNumber) -> None:
    """Raise UnusableAddress for a length that no number has.

    Only the length is checked: numbering plans change faster than the library.
    """
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    written = _written(parsed)
    country = f"country code +{parsed.country_code}"
    if reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise UnusableAddress(f"has no area code, or is too short for {country}: {EXAMPLE}")
    if reason == ValidationResult.TOO_SHORT:
        raise UnusableAddress(f"is too short for {country}: {EXAMPLE}")
    if reason == ValidationResult.TOO_LONG or len(written) > _MAX_LENGTH:
        raise UnusableAddress(f"is too long for {country}: {EXAMPLE}")
    if reason != ValidationResult.IS_POSSIBLE:
        raise UnusableAddress(f"has a length that {country} does not have: {EXAMPLE}")


def _check_ambiguous(digits: str, parsed: PhoneNumber, region: str) -> None:
    """Raise UnusableAddress for digits that are another valid number with a + before them."""
    if not digits.startswith(str(phonenumbers.country_code_for_region(region))):
        return
    try:
        other = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return
    if other != parsed and phonenumbers.is_valid_number(other):
        raise UnusableAddress(f"means two numbers, with and without +: {EXAMPLE}")


def _written(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
